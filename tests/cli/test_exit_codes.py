"""0; 1 with one line that says what and what to do; 2 for a wrong call."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HOLD = """
import sys
from convlens.storage import FolderLock
with FolderLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""
QUICK = ("--model", "perceptron", "--epochs", "1", "--precision", "fp32", "--threads", "1")


@pytest.fixture
def held(tmp_path):
    """A folder that another process holds, and that process."""
    folder = tmp_path / "held"
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "held\n"
    yield folder, child.pid
    child.communicate()


def edit(run: Path, **entries) -> Path:
    values = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**values, **entries}))
    return run


def damaged(run: Path) -> Path:
    (run / "run.json").write_text('{"format_version"')
    return run


def changed(run: Path) -> Path:
    with (run / "weights.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    return run


def newer(run: Path) -> Path:
    return edit(run, format_version=99)


def bare(run: Path) -> Path:
    shutil.rmtree(run)
    run.mkdir()
    return run


VERBS = ("evaluate", "predict", "measure", "explain", "export")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (damaged, "run.json is damaged"),
        (changed, "weights.safetensors is not the file that run.json describes"),
        (newer, "has format 99, this convlens reads up to 3; update convlens"),
        (bare, "is no run: it holds no run.json"),
        (shutil.rmtree, "does not exist; a run is the folder that"),
    ],
    ids=["damaged", "changed weights", "newer", "no run", "absent"],
)
def test_what_is_wrong_with_a_run_is_one_line(verb, spoil, says, convlens, copied_run, pictures):
    spoil(copied_run)
    outcome = convlens(verb, copied_run, *([pictures] if verb in ("predict", "explain") else []))
    if (verb, spoil) == ("measure", shutil.rmtree):
        assert (outcome.status, "no network is called" in outcome.complaint) == (2, True)
    else:
        assert outcome.status == 1
        assert says in outcome.complaint


def test_a_folder_in_use_is_one_line_with_the_process(convlens, held):
    folder, number = held
    for command in (("train", "digits", *QUICK), ("create", "lenet5")):
        outcome = convlens(*command, "--out", folder)
        assert outcome.status == 1
        assert f"{folder} is in use by process {number}; wait until it ends" in outcome.complaint


def test_a_training_in_use_is_not_resumed(convlens, held):
    folder, number = held
    outcome = convlens("train", "--resume", folder)
    assert outcome.status == 1
    assert f"in use by process {number}" in outcome.complaint


def test_a_folder_below_a_file_is_one_line(convlens, tmp_path):
    (tmp_path / "file").touch()
    for command in (("train", "digits", *QUICK), ("create", "lenet5")):
        outcome = convlens(*command, "--out", tmp_path / "file" / "run")
        assert outcome.status == 1
        assert "a file stands where a folder is needed; choose another place with --out" in outcome.complaint


@pytest.mark.parametrize(
    ("number", "says"), [(errno.ENOSPC, "the disk is full; free some space"), (errno.EROFS, "is read-only")]
)
def test_a_disk_that_takes_nothing_is_one_line(number, says, convlens, copied_run, tmp_path, monkeypatch):
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    for command in (("evaluate", copied_run), ("create", "lenet5", "--out", tmp_path / "out")):
        outcome = convlens(*command)
        assert outcome.status == 1
        assert says in outcome.complaint
    assert not (copied_run / "evaluation" / "digits.json").exists()
    assert "--out" not in convlens("evaluate", copied_run).complaint  # which has no such option


def test_an_export_below_a_file_is_one_line_and_leaves_nothing(convlens, copied_run, tmp_path):
    (tmp_path / "file").touch()
    outcome = convlens(
        "export", copied_run, "--format", "safetensors", "--out", tmp_path / "file" / "model.safetensors"
    )
    assert outcome.status == 1
    assert "a file stands where a folder is needed; choose another place with --out" in outcome.complaint
    assert not (copied_run / "exports").exists()


def test_a_drawing_that_cannot_be_written_is_one_line_before_anything_is_made(convlens, copied_run, tmp_path):
    (tmp_path / "file").touch()
    outcome = convlens(
        "shrink", copied_run, "--cluster", "4", "--out", tmp_path / "new", "--plot", tmp_path / "file" / "a.svg"
    )
    assert outcome.status == 1
    assert "a file stands where a folder is needed; choose another place with --plot" in outcome.complaint
    assert not (tmp_path / "new").exists()


def test_where_runs_cannot_be_made_is_one_line_before_anything_is_learnt(convlens, copied_run, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "runs").touch()
    monkeypatch.chdir(tmp_path / "here")
    outcome = convlens("shrink", copied_run, "--cluster", "4", "--epochs", "1")
    assert outcome.status == 1
    assert "a file stands where a folder is needed; choose another place with --out" in outcome.complaint


def test_too_many_bad_pictures_end_with_the_bound(convlens, classes, tmp_path):
    (classes / "circle" / "0.png").write_bytes(b"")
    (classes / "circle" / "1.png").write_bytes(b"")
    outcome = convlens("train", classes, "--out", tmp_path / "run", *QUICK)
    assert outcome.status == 1
    assert outcome.stderr.splitlines()[-1].startswith("convlens: 2 of 12 pictures cannot be read, more than the bound")
    assert convlens("train", classes, "--max-bad", "0.2", "--out", tmp_path / "run", *QUICK).status == 0


def test_a_run_in_a_folder_that_holds_one_is_refused(convlens, copied_run):
    outcome = convlens("train", "digits", "--out", copied_run, *QUICK)
    assert outcome.status == 1
    assert "already holds a run, which is never overwritten; choose another folder with --out" in outcome.complaint


WRONG = {
    "no such source": ("train", "nowhere"),
    "no such picture": ("predict", "{run}", "nowhere.png"),
    "no source": ("train",),
    "unknown network": ("create", "resnet5"),
    "unknown pattern": ("zoo", "nonesuch*"),
    "unknown option of a network": ("create", "resnet18", "--option", "widht=2"),
    "option without a value": ("create", "resnet18", "--option", "width"),
    "unknown method": ("explain", "{run}", "{pictures}", "--method", "grad_camm"),
    "unknown layer": ("explain", "{run}", "{pictures}", "--layer", "stage9"),
    "unknown class": ("explain", "{run}", "{pictures}", "--target", "eleven"),
    "an option given twice": (
        "explain",
        "{run}",
        "{pictures}",
        *("--method", "occlusion"),
        *2 * ("--option", "window=7"),
    ),
    "two rules": ("explain", "{run}", "{pictures}", "--method", "guided", "--rule", "gate", "--option", "rule=exact"),
    "pictures for filters": ("explain", "{run}", "nowhere.png", "--method", "filters"),
    "unknown format": ("export", "{run}", "--format", "onx"),
    "neither inside nor outside": ("export", "{run}", "--preprocess", "in"),
    "weights alone with the preprocessing": ("export", "{run}", "--format", "safetensors", "--preprocess", "inside"),
    "an export of another ending": ("export", "{run}", "--out", "model.tflite"),
    "unknown part": ("evaluate", "{run}", "--part", "train"),
    "unknown optimiser": ("train", "digits", "--optimiser", "adam"),
    "unknown schedule": ("train", "digits", "--schedule", "step"),
    "unknown precision": ("train", "digits", "--precision", "fp64"),
    "unknown augmentation": ("train", "digits", "--augmentation", "rotation=10"),
    "augmentation out of range": ("train", "digits", "--augmentation", "rotate=200"),
    "augmentation without a value": ("train", "digits", "--augmentation", "rotate"),
    "none and one": ("train", "digits", "--no-augment", "--augmentation", "rotate=10"),
    "unknown device": ("train", "digits", "--device", "tpu"),
    "no duration": ("train", "digits", "--budget", "soon"),
    "empty duration": ("train", "digits", "--budget", "0s"),
    "negative duration": ("train", "digits", "--budget=-5m"),
    "two lengths": ("train", "digits", "--budget", "5m", "--epochs", "3"),
    "no epochs": ("train", "digits", "--epochs", "0"),
    "no shares": ("train", "digits", "--split", "most"),
    "two shares": ("train", "digits", "--split", "0.8,0.2"),
    "a bound of 300 %": ("train", "digits", "--max-bad", "3"),
    "no classes at all": ("predict", "{run}", "{pictures}", "--top", "0"),
    "no batch": ("measure", "lenet5", "--latency", "--batch", "0"),
    "no number of pictures": ("measure", "lenet5", "--latency", "--batch", "1,many"),
    "a batch that nothing is timed on": ("measure", "lenet5", "--batch", "8"),
    "a drawing of another kind": ("measure", "lenet5", "--diagram", "x.png"),
    "pictures without a run": ("compare", "lenet5", "vgg11", "--data", "digits"),
    "named sets beside a folder": ("evaluate", "{run}", "{pictures}", "--data-dir", "sets"),
    "one alone": ("compare", "lenet5"),
    "no such part to compare": ("compare", "{run}", "lenet5", "--part", "train"),
    "nothing to shrink": ("shrink", "{run}"),
    "half a pixel": ("shrink", "{run}", "--resolution", "20.5"),
    "more than all pixels": ("shrink", "{run}", "--resolution", "inf"),
    "a width that the family has not": ("shrink", "{run}", "--width", "0.5"),
    "a size that the run has": ("shrink", "{run}", "--resolution", "28"),
    "no width": ("shrink", "{run}", "--width", "half"),
    "neither recipe nor network": ("bench", "mnits"),
    "no seed": ("bench", "mnist", "--seeds", "0"),
    "no such file of a network": ("measure", "{run}", "--network", "nowhere.py:Net"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_call_is_one_line_and_status_2(case, convlens, copied_run, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [argument.format(run=copied_run, pictures=pictures) for argument in WRONG[case]]
    outcome = convlens(*arguments)
    assert outcome.status == 2
    assert len(outcome.complaint) > 20


@pytest.mark.parametrize("arguments", [("nonesuch",), ("train", "--epochs", "many"), ("evaluate",), ("zoo", "--bad")])
def test_what_the_parser_refuses_is_status_2_too(arguments, convlens):
    outcome = convlens(*arguments)
    assert (outcome.status, outcome.stdout) == (2, "")


def test_an_error_of_several_lines_becomes_one(convlens, tmp_path):
    (tmp_path / "net.py").write_text("raise RuntimeError('first line\\nsecond line')")
    outcome = convlens("train", "digits", "--network", f"{tmp_path}/net.py:Net", "--out", tmp_path / "run")
    assert outcome.status == 2
    assert outcome.stderr.splitlines()[-1].endswith("(RuntimeError: first line second line)")


def test_a_reader_that_goes_away_is_no_error(process):
    with process("zoo", "--json") as child:
        child.stdout.read(100)
        child.stdout.close()
        assert (child.stderr.read(), child.wait()) == ("", 0)


def not_a_number(weights: dict[str, Any]) -> None:
    weights["stages.c3.weight"].view(-1)[0] = float("nan")


def whole_numbers(weights: dict[str, Any]) -> None:
    weights["stages.c3.weight"] = weights["stages.c3.weight"].char()


def no_classes(weights: dict[str, Any]) -> None:
    for name in list(weights)[-2:]:
        weights[name] = weights[name][:0].clone()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (not_a_number, "'stages.c3.weight' holds 1 of 2,400 numbers as NaN or infinity"),
        (whole_numbers, "'stages.c3.weight' holds int8 numbers"),
        (no_classes, "the last tensor, is empty"),
    ],
)
@pytest.mark.parametrize("command", [("create", "lenet5"), ("train", "digits", "--model", "lenet5", "--epochs", "1")])
def test_weights_that_cannot_be_used_are_one_line_and_leave_nothing(spoil, says, command, convlens, tmp_path):
    from safetensors.torch import save_file

    import convlens.zoo as zoo

    weights = dict(zoo.create("lenet5", num_classes=10, in_channels=1).state_dict())
    spoil(weights)
    save_file(weights, tmp_path / "weights.safetensors")
    outcome = convlens(*command, "--weights", tmp_path / "weights.safetensors", "--out", tmp_path / "run")
    assert outcome.status == 1
    assert outcome.stderr.splitlines()[-1].startswith(f"convlens: {tmp_path / 'weights.safetensors'}: '")
    assert says in outcome.stderr
    assert not (tmp_path / "run").exists()
