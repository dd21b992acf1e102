"""--json of every command: one JSON value on stdout and nothing else; what is told on the way goes to stderr."""

from __future__ import annotations

import pytest

QUICK = ("--model", "perceptron", "--epochs", "1", "--precision", "fp32", "--threads", "1")

# fmt: off
#   command      arguments, with {run}, {pictures}, {classes} and {out} to be filled in; some keys of the answer
COMMANDS = {
    "zoo":      (("lenet*",), {"networks"}),
    "create":   (("lenet5", "--out", "{out}"), {"run", "model", "parameters", "weights"}),
    "doctor":   (("{classes}",), {"well", "machine", "data", "scan"}),
    "train":    (("{classes}", "--out", "{out}", *QUICK), {"run", "steps", "val_accuracy", "report"}),
    "evaluate": (("{run}",), {"scores", "left_out", "errors", "part"}),
    "predict":  (("{run}", "{pictures}"), {"predictions", "unreadable"}),
    "measure":  (("{run}", "--latency"), {"network", "latency", "input_shape"}),
    "compare":  (("lenet5", "perceptron", "{run}"), {"rows", "pairs", "same_speed", "cost"}),
    "shrink":   (("{run}", "--epochs", "1", "--out", "{out}"), {"run", "verdict", "before", "after", "answers"}),
    "bench":    (("perceptron",), {"machine", "recipes", "networks"}),
    "explain":  (("{run}", "{pictures}", "--method", "saliency", "--out", "{out}"), {"files", "pictures", "sanity"}),
}
# fmt: on


def filled(arguments: tuple[str, ...], run, pictures, classes, tmp_path) -> list[str]:
    places = {"run": run, "pictures": pictures, "classes": classes, "out": tmp_path / "out"}
    return [argument.format(**places) for argument in arguments]


@pytest.mark.parametrize("command", COMMANDS)
def test_stdout_is_one_json_value(command, convlens, copied_run, pictures, classes, tmp_path):
    arguments, keys = COMMANDS[command]
    outcome = convlens(command, *filled(arguments, copied_run, pictures, classes, tmp_path), "--json")
    assert outcome.status == 0
    assert keys <= outcome.json.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_without_json_a_table_is_printed_for_people(command, convlens, copied_run, pictures, classes, tmp_path):
    outcome = convlens(command, *filled(COMMANDS[command][0], copied_run, pictures, classes, tmp_path))
    assert outcome.status == 0
    assert "─" in outcome.stdout


def test_the_zoo_says_what_its_numbers_mean_and_where_they_come_from(convlens):
    (row,) = convlens("zoo", "mobilenet_v3_small", "--json").json["networks"]
    assert (row["data_set"], row["protocol"], row["gated"]) == ("ImageNet", "1 crop", True)
    assert row["counts_source"] == "torchvision 0.28"
    assert row["accuracy_source"] == "published with the weights, torchvision 0.28"
    card = " ".join(convlens("zoo", "mobilenet_v3_small").stdout.split())
    assert "639 px through convolutions and poolings, and the whole picture through its gates" in card
    assert "top-1 67.67 %, top-5 87.40 % on ImageNet, 1 crop: published with the weights, torchvision 0.28" in card


def test_the_table_of_the_zoo_labels_the_data_set_of_every_accuracy(convlens):
    lines = convlens("zoo", "*lenet*").stdout.splitlines() + convlens("zoo", "alexnet*").stdout.splitlines()
    cells = {
        row[1]: row[8:10] for row in ([cell.strip() for cell in line.split("│")] for line in lines) if len(row) > 9
    }
    assert cells["lenet5_1998"] == ["99.05 %", "MNIST"]
    assert cells["lenet5"] == ["–", "–"]
    assert cells["alexnet"] == ["56.52 %", "ImageNet"]
    assert cells["alexnet_paper"] == ["59.30 %", "ImageNet*"]


def test_what_is_told_on_the_way_is_on_stderr_alone(convlens, classes, tmp_path):
    outcome = convlens("train", classes, "--out", tmp_path / "run", *QUICK, "--json")
    assert "12 pictures in 2 classes" in outcome.stderr
    assert "fp32, channels_last, 1 thread" in outcome.stderr
    assert "12 pictures" not in outcome.stdout


def test_an_error_leaves_stdout_empty(convlens, tmp_path):
    outcome = convlens("evaluate", tmp_path / "nowhere", "--json")
    assert outcome.status == 1
    assert "does not exist" in outcome.complaint


def test_a_doctor_who_finds_bad_pictures_says_so_in_json_and_by_status(convlens, classes):
    (classes / "circle" / "empty.png").touch()
    outcome = convlens("doctor", classes, "--json")
    assert outcome.status == 1
    assert outcome.json["well"] is False
    assert [one["keys"] for one in outcome.json["scan"]["findings"] if one["kind"] == "zero_byte"] == [
        ["circle/empty.png"]
    ]


def test_names_that_are_not_ascii_are_readable_in_it(convlens, copied_run, pictures):
    (pictures / "a.png").rename(pictures / "blüte.png")
    outcome = convlens("predict", copied_run, pictures / "blüte.png", "--json")
    assert "blüte.png" in outcome.stdout
    assert outcome.json["predictions"][0]["picture"].endswith("blüte.png")
