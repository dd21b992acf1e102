"""What was interrupted goes on as it began, or says clearly why it cannot."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
from PIL import Image
from typer.testing import CliRunner

from convlens.cli.app import app
from convlens.data import Augment
from convlens.errors import ConvlensError, DataError, RunError, Stopped, StorageError, UsageError
from convlens.runs import Run
from convlens.training import Plan, Recipe
from convlens.training.checkpoint import read_checkpoint
from convlens.training.schedule import Segment
from convlens.workbench import evaluate, train
from convlens.workbench.resume import go_on

resume_file = sys.modules["convlens.workbench.resume"]
LAST = Path("checkpoints") / "last.safetensors"


@pytest.fixture
def interrupted(tmp_path, make_pictures, quickly):
    """A training of two epochs that was stopped after its first step, and its pictures: (run, data)."""
    data = make_pictures(tmp_path / "shapes")
    stop_after(1, data, out=tmp_path / "run", **{**quickly, "epochs": 2}, checkpoint_seconds=1e-6)
    return tmp_path / "run", data


def stop_after(step: int, *args, **options) -> None:
    def progress(stage: str, done: int, total: int, detail: str) -> None:
        if stage == "train" and done == step:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Stopped):
        train(*args, progress=progress, **options)


def test_a_stop_saves_and_names_the_command_that_goes_on(tmp_path, whole_lesson, quickly):
    with pytest.raises(Stopped, match=rf"step 2 of 2; go on with: convlens train --resume {tmp_path}") as stopped:
        train(
            whole_lesson.data,
            out=tmp_path / "run",
            progress=lambda stage, done, *_: stage == "train" and done == 2 and signal.raise_signal(signal.SIGTERM),
            **quickly,
        )
    assert stopped.value.exit_status == 143
    assert read_checkpoint(tmp_path / "run" / LAST)[1]["tally"]["step"] == 2
    assert train(resume=tmp_path / "run").steps == 2


def test_it_goes_on_to_the_same_weights_as_without_the_stop(interrupted, tmp_path, quickly):
    run, data = interrupted
    result = train(resume=run)
    whole = train(data, out=tmp_path / "whole", **{**quickly, "epochs": 2}).run
    assert result.steps == 4
    assert Run.load(run).manifest.weights["sha256"] == Run.load(whole).manifest.weights["sha256"]
    assert not (run / LAST).exists()
    assert evaluate(run).scores.num_pictures == 4


def test_augmentation_that_was_asked_goes_on_as_it_began(tmp_path, make_pictures, quickly):
    data = make_pictures(tmp_path / "shapes")
    options = {**quickly, "epochs": 2, "augment": {"rotate": 10, "mixup": 0.4, "lighting": 0.1, "alternate": True}}
    whole = train(data, out=tmp_path / "whole", **options).run
    stop_after(1, data, out=tmp_path / "run", checkpoint_seconds=1e-6, **options)
    with pytest.raises(UsageError, match="--augmentation rotate came as 11, and this training began with 10"):
        train(resume=tmp_path / "run", augment={"rotate": 11})
    assert train(resume=tmp_path / "run", augment={"rotate": 10.0, "shift": 3}).steps == 4
    first, second = (Run.load(path).manifest for path in (whole, tmp_path / "run"))
    assert first.weights["sha256"] == second.weights["sha256"]
    assert first.plan["augment"] == second.plan["augment"]


def test_until_then_every_verb_says_that_the_training_has_not_ended(interrupted):
    run, _ = interrupted
    with pytest.raises(RunError, match=rf"has not ended; `convlens train --resume {run}`"):
        evaluate(run)


def test_another_training_does_not_take_its_folder(interrupted, quickly):
    run, data = interrupted
    with pytest.raises(RunError, match="interrupted training; go on with --resume"):
        train(data, out=run, **quickly)


def test_a_finished_run_has_nothing_to_go_on_with(lesson):
    with pytest.raises(RunError, match="a run that is whole"):
        train(resume=lesson.run)


def test_a_folder_that_is_not_there_and_one_without_a_checkpoint_are_refused(tmp_path):
    with pytest.raises(RunError, match="nowhere does not exist; --resume takes the folder"):
        train(resume=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="empty holds no checkpoint"):
        train(resume=tmp_path / "empty")


def test_a_damaged_checkpoint_is_refused(interrupted):
    run, _ = interrupted
    (run / LAST).write_bytes((run / LAST).read_bytes()[:500])
    with pytest.raises(RunError, match=r"last\.safetensors is damaged"):
        train(resume=run)


def change_one(data: Path) -> None:
    with Image.open(data / "circle" / "000.jpg") as image:
        image.rotate(90, expand=True).save(data / "circle" / "000.jpg")


def add_one(data: Path) -> None:
    shutil.copy(data / "circle" / "001.png", data / "circle" / "more.png")


def remove_one(data: Path) -> None:
    (data / "square" / "001.png").unlink()


@pytest.mark.parametrize("meddle", [change_one, add_one, remove_one])
def test_changed_pictures_are_refused_and_the_checkpoint_stays(interrupted, meddle):
    run, data = interrupted
    before = (run / LAST).read_bytes()
    meddle(data)
    with pytest.raises(DataError, match=rf"{data} holds other pictures than when this training began"):
        train(resume=run)
    assert (run / LAST).read_bytes() == before


def test_a_changed_label_is_refused_too(tmp_path, make_pictures, quickly):
    files = sorted(make_pictures(tmp_path / "shapes").rglob("*.*"))
    table = tmp_path / "table.csv"
    table.write_text("path,label\n" + "".join(f"{file},{file.parent.name}\n" for file in files))
    stop_after(1, table, out=tmp_path / "run", **quickly)
    table.write_text(table.read_text().replace(",circle\n", ",square\n", 1))
    with pytest.raises(DataError, match="holds other pictures than when this training began"):
        train(resume=tmp_path / "run")


def test_pictures_that_moved_are_named_on_the_way(interrupted, tmp_path):
    run, data = interrupted
    moved = data.rename(tmp_path / "moved")
    with pytest.raises(ConvlensError, match=f"{data}"):
        train(resume=run)
    assert train(moved, resume=run).steps == 4


def test_a_named_set_is_found_again_where_it_was_found_before(tmp_path, write_idx, quickly, monkeypatch):
    write_idx(tmp_path / "sets" / "mnist")
    monkeypatch.setattr("convlens.data.named.download", pytest.fail)
    stop_after(1, "mnist", data_dir=tmp_path / "sets", out=tmp_path / "run", **{**quickly, "epochs": 2})
    assert train(resume=tmp_path / "run").steps == 2


def test_bad_pictures_are_borne_as_they_were_when_it_began(tmp_path, make_pictures, quickly):
    data = make_pictures(tmp_path / "shapes")
    for number in range(10):
        (data / "circle" / f"{number:03d}.{('jpg', 'png')[number % 2]}").write_bytes(b"")
    stop_after(1, data, out=tmp_path / "run", max_bad=0.5, **quickly)
    assert train(resume=tmp_path / "run").num_excluded == 10


class FullDisk:
    """A disk that has no room for files of one name."""

    def __init__(self, patch: pytest.MonkeyPatch, name: str) -> None:
        self.name, self.replace = name, Path.replace
        patch.setattr(Path, "replace", lambda source, target: self.put(source, target))

    def put(self, source: Path, target: Path) -> Path:
        if Path(target).name == self.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.replace(source, target)


@pytest.mark.parametrize("name", ["last.safetensors", "best.safetensors", "weights.safetensors", "run.json"])
def test_a_full_disk_is_one_clear_line_and_the_checkpoint_before_it_survives(interrupted, name, monkeypatch):
    run, _ = interrupted
    before = (run / LAST).read_bytes()
    with monkeypatch.context() as patch:
        FullDisk(patch, name)
        with pytest.raises(StorageError, match=rf"{name}: the disk is full; free some space") as error:
            train(resume=run)
    assert "\n" not in str(error.value)
    assert (run / LAST).read_bytes() == before or name in ("weights.safetensors", "run.json")
    assert not list(run.rglob("*.tmp"))
    assert not (run / "run.json").exists()
    assert train(resume=run).steps == 4


@pytest.fixture
def small_disk(tmp_path):
    """small_disk(size) -> a file system of that size; a second call gives it another size."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(size: str) -> Path:
        options = f"remount,size={size}" if place.is_mount() else f"size={size}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs the right to mount a small file system")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", place], check=True)


def test_on_a_disk_that_runs_full_the_last_checkpoint_survives_and_goes_on_when_there_is_room(small_disk):
    run = small_disk("600k") / "run"  # room for the weights, and not for the optimiser's state beside them
    options = {"model": "lenet5", "epochs": 1, "precision": "fp32", "threads": 1, "checkpoint_seconds": 1e-6}
    with pytest.raises(StorageError, match="the disk is full; free some space"):
        train("digits", out=run, **options)
    assert (run / LAST).stat().st_size > 200_000
    small_disk("8m")
    assert train(resume=run).val_accuracy > 0.3


def test_a_read_only_folder_is_one_clear_line(tmp_path, whole_lesson, quickly, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(StorageError, match=r"the file system is read-only; choose another place with --out$"):
        train(whole_lesson.data, out=tmp_path / "run", **quickly)


def test_a_folder_below_a_file_is_refused(tmp_path, whole_lesson, quickly):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="a file stands where a folder is needed; choose another place with --out"):
        train(whole_lesson.data, out=tmp_path / "file" / "run", **quickly)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"epochs": 7}, "--epochs came as 7, and this training began with 2; it goes on as it began"),
        ({"budget_s": 60.0}, "--budget came as 60"),
        ({"model": "lenet5"}, "--model came as lenet5, and this training began with perceptron"),
        ({"recipe": "mnist"}, "--recipe came as mnist, and this training began with None"),
        ({"image_size": 32}, "--image-size came as 32, and this training began with 28"),
        ({"seed": 3}, "--seed came as 3"),
        ({"optimiser": "sgd"}, "--optimiser came as sgd"),
        ({"augment": False}, "--augment came as False, and this training began with True"),
        ({"no_pictures": True}, "--no-pictures came as True, and this training began with False"),
        ({"fit": "resize"}, "--fit came as resize, and this training began with letterbox"),
        ({"device": "meta"}, "--device came as meta, and this training began with cpu"),
        ({"options": {"width": 0.5}}, "--option width came as 0.5, and this training began with None"),
        ({"augment": {"rotate": 10}}, r"--augmentation rotate came as 10, and this training began with 0\.0"),
    ],
)
def test_options_that_say_something_else_than_the_checkpoint_are_refused(interrupted, asked, message):
    with pytest.raises(UsageError, match=message):
        go_on(interrupted[0], asked=asked)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "imagenet"}, "--weights came with --resume, and counts only where a training begins"),
        ({"split": (0.5, 0.25, 0.25)}, "--split came with --resume"),
        ({"max_bad": 0.5}, "--max-bad came with --resume"),
        ({"out": "elsewhere"}, "--out elsewhere came with --resume .*, which goes on in its own folder"),
        ({"network": "net.py:Net"}, "--network net.py:Net came, and this training is of perceptron, of the zoo"),
    ],
)
def test_what_counts_only_at_the_beginning_is_refused(interrupted, options, message):
    before = (interrupted[0] / LAST).read_bytes()
    with pytest.raises(UsageError, match=message):
        train(resume=interrupted[0], **options)
    assert (interrupted[0] / LAST).read_bytes() == before


def test_what_counts_at_the_beginning_is_refused_as_its_default_too(interrupted):
    for name in ("split", "max_bad"):
        with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} came with --resume"):
            train(resume=interrupted[0], given=[name])


def test_a_network_that_the_training_cannot_be_of_is_refused_before_anything_is_said(interrupted):
    said = []
    with pytest.raises(UsageError, match=r"--network net\.py:Net came, and this training is of perceptron"):
        train(resume=interrupted[0], network="net.py:Net", tell=said.append)
    assert said == []


def test_how_often_is_saved_may_change(interrupted):
    run, _ = go_on(interrupted[0], asked={"checkpoint_seconds": 7.0})
    assert run.manifest.recipe["checkpoint_seconds"] == 7.0


@pytest.mark.parametrize("name", ["optimiser", "weight_decay", "seed"])
def test_a_default_that_was_given_is_no_less_refused(tmp_path, name):
    began = {"optimiser": "sgd", "weight_decay": 0.01, "seed": 3, "epochs": 1}
    usual = {"optimiser": "adamw", "weight_decay": 0.05, "seed": 0, "model": "auto"}
    facts = {
        "architecture": {"name": "lenet5"},
        "preprocess": {"size": [28, 28], "fit": "crop"},
        "keep_pictures": False,
    }
    recipe = Recipe(**began)
    plan = Plan(16, 6, 0.01, (Segment(0, 0.0, 6),))
    refuse = partial(resume_file._refuse_changes, recipe=recipe, plan=plan, augment=Augment(), facts=facts)
    refuse(usual, ())
    refuse({"batch": 16, "learning_rate": 0.01}, ("batch", "learning_rate"))  # as it was planned
    refuse({"fit": "auto", "device": "auto", "checkpoint_seconds": 5.0}, ("fit", "device", "checkpoint_seconds"))
    refuse({"no_pictures": True}, ("no_pictures",))
    with pytest.raises(UsageError, match="--batch came as 17, and this training began with 16"):
        refuse({"batch": 17}, ("batch",))
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} came as {usual[name]}, and this training began"):
        refuse(usual, (name,))


def test_the_command_line_says_which_options_were_typed(interrupted):
    typed = ["train", "--resume", str(interrupted[0]), "--batch", "17", "--seed", "0", "--label-smoothing", "0.1"]
    done = CliRunner().invoke(app, [*typed, "--ema", "0.5"])
    assert done.exit_code == 2 and "--ema came as 0.5" in done.stderr
    seen = {}
    with patch("convlens.workbench.train", lambda *_, given, **__: seen.update(given=given) or 1 / 0):
        CliRunner().invoke(app, typed)
    assert set(seen["given"]) == {"resume", "batch", "seed", "label_smoothing"}


def test_weights_that_were_left_to_the_training_may_be_left_to_it_again(interrupted):
    assert train(resume=interrupted[0], weights="auto", given=["weights"]).steps == 4


def test_no_pictures_may_be_said_again(tmp_path, whole_lesson, quickly):
    stop_after(1, whole_lesson.data, out=tmp_path / "run", keep_pictures=False, **quickly)
    result = train(resume=tmp_path / "run", keep_pictures=False, given=["no_pictures"])
    assert result.steps == 2 and not Run.load(result.run).manifest.keep_pictures


def test_options_that_say_the_same_or_nothing_are_taken(interrupted):
    run, _ = go_on(interrupted[0], asked={"epochs": 2, "model": "auto", "seed": 0, "precision": "auto", "batch": None})
    assert run.manifest.metrics["steps"] == 4


def test_the_command_that_goes_on_can_be_pasted_where_the_path_has_spaces(tmp_path):
    last = tmp_path / "my run" / LAST
    last.parent.mkdir(parents=True)
    last.touch()
    with pytest.raises(RunError, match=r"`convlens train --resume '.*/my run'`"):
        Run.load(tmp_path / "my run")


def test_nothing_to_train_on_is_a_wrong_call():
    with pytest.raises(UsageError, match="nothing to train on"):
        train()
