"""`export`: where its pictures are from, where its files go, what travels in them, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from convlens.errors import DataError, ExportError, RunError, UsageError
from convlens.exporting import FORMATS, Facts
from convlens.exporting.formats import EXACT, INT8, ROUNDED
from convlens.exporting.quiet import reason
from convlens.runs import Run
from convlens.workbench import create, evaluate, export, shrink, train
from convlens.workbench.demo import OWN_FILES

NETWORK = """
from torch import nn

def net(num_classes, in_channels):
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * in_channels, num_classes))

class Branching(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.inner = net(num_classes, in_channels)

    def forward(self, images):
        return self.inner(images) if images.mean() > -1e9 else self.inner(images) * 2
"""


def everything(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*")}


def test_a_run_is_proved_on_its_own_held_out_pictures_and_changes_in_nothing_else(lesson, fingerprint):
    before = fingerprint(lesson.run)
    result = export(lesson.run)
    assert (result.format, result.preprocess, result.input, result.output) == ("onnx", "outside", "images", "logits")
    assert (result.agreement.pictures, result.pictures_from) == (4, "the test part of shapes")
    assert (result.agreement.batches, result.agreement.top1_agreement) == ((1, 2, 5), 1.0)
    (file,) = result.files
    assert file.path == lesson.run / "exports" / "model.onnx"
    assert file.size_bytes == file.path.stat().st_size
    after = {name: facts for name, facts in fingerprint(lesson.run).items() if not name.startswith("exports")}
    assert after == before
    assert all(any(file.match(kind) for kind in OWN_FILES) for file in lesson.run.glob("exports/*"))


def test_pictures_that_are_given_are_what_it_is_proved_on(lesson, picture, tmp_path):
    given = [picture(1), picture(2, grey=True), *sorted(lesson.data.rglob("*.png"))[:3]]
    result = export(lesson.run, given, format="safetensors", out=tmp_path)
    assert (result.agreement.pictures, result.pictures_from) == (5, "the pictures given")
    assert result.files[0].path == tmp_path / "model.safetensors"


def test_int8_is_calibrated_on_training_pictures_and_proved_on_others(lesson, picture, tmp_path):
    result = export(lesson.run, format="onnx-int8")
    assert (result.pictures_from, result.calibrated_on) == (
        "the test part of shapes",
        "32 pictures, the training part of shapes",
    )
    assert [file.path.name for file in result.files] == ["model-int8.onnx"]
    created = create("lenet5", num_classes=3, in_channels=3, out=tmp_path / "made").run
    given = export(created, [picture(n) for n in range(5)], format="onnx-int8")
    assert given.calibrated_on == "5 pictures, the pictures given"


def test_of_many_pictures_fifty_are_taken_from_everywhere(lesson, picture, tmp_path):
    result = export(lesson.run, [picture(n) for n in range(60)], format="safetensors", out=tmp_path)
    assert result.agreement.pictures == 50


def test_without_its_pictures_a_run_is_proved_on_its_thumbnails(lesson, tmp_path, make_pictures):
    data = make_pictures(tmp_path / "shapes")
    run = train(data, out=tmp_path / "r", model="perceptron", image_size=28, epochs=1, precision="fp32", threads=1).run
    evaluate(run, part="all", include_train=True)
    shutil.rmtree(data)
    assert export(run, format="safetensors").pictures_from == "the run's thumbnails"
    shutil.rmtree(Run.load(run).folder.thumbnails)
    with pytest.raises(UsageError, match="no pictures at hand that the file could be proved on; give some"):
        export(run, format="torch-export")
    assert not (run / "exports" / "model.pt2").exists()


def test_a_created_run_needs_pictures(tmp_path, picture):
    run = create("lenet5", num_classes=3, in_channels=3, out=tmp_path / "run").run
    with pytest.raises(UsageError, match="no pictures at hand"):
        export(run)
    assert not (run / "exports").exists()
    assert export(run, picture(0), format="torch-export").agreement.pictures == 1


def test_broken_pictures_are_named_and_alone_they_prove_nothing(lesson, picture, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in "abcd":
        (folder / f"{name}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"of 4 pictures to prove the file on none could be read \(.*zero bytes.*; …\)"):
        export(lesson.run, folder)
    assert not (lesson.run / "exports").exists()
    Image.fromarray(picture(0)).save(folder / "good.png")
    result = export(lesson.run, folder, format="safetensors")
    assert result.agreement.pictures == 1
    assert len(result.unreadable) == 4 and "a.png: zero bytes" in result.unreadable[0]


def test_what_travels_tells_where_the_weights_are_from_and_no_path_of_this_machine(lesson):
    result = export(lesson.run, format="safetensors")
    run = Run.load(lesson.run)
    with safe_open(result.files[0].path, "pt") as file:
        facts = Facts.from_texts(file.metadata())
    assert facts.classes == ("circle", "square")
    assert (facts.preprocess, facts.temperature) == (run.preprocess, run.temperature)
    told = facts.provenance
    assert told["weights_sha256"] == run.manifest.weights["sha256"]
    assert (told["name"], told["architecture"]["name"]) == (run.manifest.name, "perceptron")
    assert told["exported_with"].keys() == {"python", "convlens", "torch", "numpy", "pillow"}
    assert told["manifest"]["recipe"]["epochs"] == 1
    assert str(lesson.data.parent) not in json.dumps(dict(told)) and "scan" not in told["manifest"]["data"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_run_of_eight_bits_may_round_otherwise_in_every_format(format, lesson, tmp_path):
    shrink(lesson.run, quantise="int8", out=tmp_path / "rounded")
    of_integers = format == "onnx-int8"
    assert export(tmp_path / "rounded", format=format).agreement.bound == (INT8 if of_integers else ROUNDED)
    assert export(lesson.run, format=format).agreement.bound == (INT8 if of_integers else EXACT)


def test_of_a_teacher_the_name_travels(lesson, tmp_path, quickly):
    student = train(lesson.data, teacher=lesson.run, out=tmp_path / "student", **quickly).run
    with safe_open(export(student, format="safetensors").files[0].path, "pt") as file:
        told = Facts.from_texts(file.metadata()).provenance
    assert told["manifest"]["plan"]["teacher"]["run"] == lesson.run.name
    assert str(tmp_path) not in json.dumps(dict(told))


@pytest.mark.parametrize(
    ("out", "lands"),
    [("new", "new/model.pt2"), ("mine.pt2", "mine.pt2"), ("new/deep/mine.pt2", "new/deep/mine.pt2")],
)
def test_a_file_or_a_folder_may_be_named(out, lands, lesson, tmp_path):
    assert export(lesson.run, format="torch-export", out=tmp_path / out).files[0].path == tmp_path / lands
    with pytest.raises(UsageError, match=r"ends in \.safetensors, so expected a name like"):
        export(lesson.run, format="safetensors", out=tmp_path / "mine.pt2")


def test_the_runs_own_files_are_never_written_over(lesson, fingerprint):
    before = fingerprint(lesson.run)
    with pytest.raises(UsageError, match="among the run's own files"):
        export(lesson.run, format="safetensors", out=lesson.run / "weights.safetensors")
    assert fingerprint(lesson.run) == before


def test_a_name_that_ends_like_a_folder_is_one(lesson, tmp_path):
    assert export(lesson.run, out=f"{tmp_path}/ship-1.0/").files[0].path.parent == tmp_path / "ship-1.0"


def test_what_ctrl_c_breaks_off_is_no_error_of_the_network():
    broken = AttributeError("module has no attribute 'exc'")
    broken.__context__ = KeyboardInterrupt()
    outer = RuntimeError("failed to export")
    outer.__cause__ = broken
    with pytest.raises(KeyboardInterrupt):
        reason(outer)


def test_a_network_of_your_own_goes_with_its_file(whole_lesson, tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    own = {"image_size": 28, "epochs": 1, "precision": "fp32", "threads": 1}
    for name, refused in (("net", False), ("Branching", True)):
        network = f"{tmp_path}/net.py:{name}"
        run = train(whole_lesson.data, network=network, out=tmp_path / name, **own).run
        with pytest.raises(RunError, match=r"give it with --network"):
            export(run)
        if refused:
            with pytest.raises(ExportError, match=r"Branching does not go into torch\.export: "):
                export(run, format="torch-export", network=network)
            assert not (run / "exports").exists()
        else:
            assert export(run, format="torch-export", network=network).agreement.top1_agreement == 1.0


def test_a_run_whose_weights_were_changed_is_refused(lesson):
    with (lesson.run / "weights.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    with pytest.raises(RunError, match=r"is not the file that run\.json describes"):
        export(lesson.run)
    assert not (lesson.run / "exports").exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"format": "onx"}, r"no format is called 'onx' \(near: onnx,"),
        ({"preprocess": "insid"}, r"near: inside"),
        ({"format": "safetensors", "preprocess": "inside"}, "holds weights alone; leave it out"),
        ({"out": "model.tflite"}, r"an ONNX file ends in \.onnx"),
        ({"pictures": "nowhere.png"}, "nowhere.png"),
    ],
)
def test_a_wrong_wish_is_refused_before_anything_is_written(wrong, said, lesson):
    before = everything(lesson.run)
    with pytest.raises(UsageError, match=said):
        export(lesson.run, **wrong)
    assert everything(lesson.run) == before


def test_every_format_is_named_in_the_help(lesson):
    from convlens.cli.export import export as command

    assert all(name in str(command.__wrapped__.__annotations__["format"]) for name in FORMATS)


def test_a_float_image_is_no_picture(lesson):
    with pytest.raises(UsageError, match="expected uint8"):
        export(lesson.run, np.zeros((8, 8, 3), np.float32))
