"""A run takes only a folder that is nobody else's, and a failed start gives it back."""

from __future__ import annotations

import importlib
from contextlib import ExitStack

import pytest

from convlens.errors import DataError, RunError
from convlens.runs import RunFolder
from convlens.workbench import create, train
from convlens.workbench.claim import claim, sweep

LEFTOVER = ".convlens-0123456789ab.tmp"


def test_a_folder_with_somebody_s_files_is_refused_and_stays_as_it_is(tmp_path, fingerprint):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("mine")
    before = fingerprint(tmp_path)
    with pytest.raises(RunError, match=r"thesis holds chapter\.tex, which no training left there; choose another"):
        create("lenet5", out=tmp_path / "thesis")
    assert fingerprint(tmp_path) == before


def test_somebody_s_file_among_the_checkpoints_is_refused(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "epoch3.pt").touch()
    with ExitStack() as held, pytest.raises(RunError, match=r"holds checkpoints/epoch3\.pt"):
        claim(held, tmp_path)


def test_the_path_to_go_on_with_can_be_pasted_where_it_has_spaces(tmp_path):
    folder = tmp_path / "my run"
    (folder / "checkpoints").mkdir(parents=True)
    RunFolder(folder).last.touch()
    with ExitStack() as held, pytest.raises(RunError, match=r"go on with --resume '.*/my run', or"):
        claim(held, folder)


def test_what_a_killed_start_left_behind_is_no_hindrance(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in (".lock", ".gitkeep", "splits.csv", "history.jsonl", f"checkpoints/{LEFTOVER}", LEFTOVER):
        (tmp_path / name).touch()
    with ExitStack() as held:
        claim(held, tmp_path)
        assert not list(tmp_path.rglob("*.tmp"))
    assert (tmp_path / "splits.csv").exists()  # the folder was there before


def test_only_the_folder_and_its_checkpoints_are_swept(tmp_path):
    places = [tmp_path, tmp_path / "checkpoints", tmp_path / "deeper", tmp_path / "checkpoints" / "deeper"]
    for place in places:
        place.mkdir(exist_ok=True)
        (place / LEFTOVER).touch()
    sweep(RunFolder(tmp_path))
    assert [(place / LEFTOVER).exists() for place in places] == [False, False, True, True]
    sweep(RunFolder(tmp_path / "absent"))


def test_a_start_that_fails_after_the_division_leaves_no_folder(tmp_path, whole_lesson, quickly, monkeypatch):
    def fail(*_, **__):
        raise DataError("the pictures are gone")

    monkeypatch.setattr(importlib.import_module("convlens.workbench.learn"), "prepare", fail)
    with pytest.raises(DataError):
        train(whole_lesson.data, out=tmp_path / "run", **quickly)
    assert not (tmp_path / "run").exists()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError):
        train(whole_lesson.data, **quickly)
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    "there", [("weights.safetensors", "splits.csv"), ("history.jsonl", "checkpoints/best.safetensors")]
)
def test_what_stands_in_a_new_folder_without_a_manifest_goes_with_it(there, tmp_path):
    with ExitStack() as held:
        claim(held, tmp_path / "new")
        write(tmp_path / "new", *there)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("there", ["run.json", "checkpoints/last.safetensors", "notes.txt"])
def test_a_run_a_checkpoint_and_what_nobody_knows_stay(there, tmp_path):
    with ExitStack() as held:
        claim(held, tmp_path / "new")
        write(tmp_path / "new", "weights.safetensors", there)
    assert (tmp_path / "new" / there).exists() and (tmp_path / "new" / "weights.safetensors").exists()


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def test_a_folder_that_was_there_before_stays_after_a_failed_start(tmp_path):
    (tmp_path / "mine").mkdir()
    with ExitStack() as held:
        claim(held, tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []
