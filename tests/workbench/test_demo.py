"""The demo replaces an earlier demo, and nothing else."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from convlens.errors import RunError, Stopped, StorageError
from convlens.runs import Run
from convlens.storage import FolderLock
from convlens.workbench import create, demo, train
from convlens.workbench.engine_record import record_of


@pytest.fixture
def quick_demo(tmp_path, monkeypatch):
    """The demo with one epoch, in a working folder of its own."""
    room = importlib.import_module("convlens.workbench.demo")
    monkeypatch.chdir(tmp_path)

    def one_epoch(*args, **options):
        return train(*args, **{**options, "epochs": 1, "precision": "fp32", "threads": 1})

    monkeypatch.setattr(room, "train", one_epoch)
    return demo


def test_the_whole_way_leaves_a_run_with_scores_an_explanation_and_a_report(quick_demo):
    result = quick_demo()
    assert result.run == Path("runs/demo")
    assert result.num_test_pictures == 179
    assert result.accuracy_low <= result.accuracy <= result.accuracy_high
    for file in (result.report, result.explanation, result.run / "evaluation" / "digits.json"):
        assert file.stat().st_size > 1000
    assert "Grad-CAM" in result.report.read_text()
    assert len(list((result.run / "examples").glob("*.png"))) == 6
    assert not list(result.run.rglob("*.tmp"))


def test_an_earlier_demo_is_replaced(quick_demo):
    first = (quick_demo().run / "run.json").stat().st_mtime_ns
    assert (quick_demo().run / "run.json").stat().st_mtime_ns > first


def test_a_demo_for_which_an_engine_was_chosen_is_replaced(quick_demo):
    run = quick_demo().run
    record = record_of(Run.load(run))
    record.parent.mkdir()
    record.write_text("{}")
    assert not (quick_demo().run / record.relative_to(run)).exists()


def test_elsewhere_no_run_is_replaced(quick_demo):
    quick_demo(out="mine")
    with pytest.raises(RunError, match="mine already holds a run"):
        quick_demo(out="mine")


def test_another_run_that_is_called_demo_stays(quick_demo, fingerprint):
    run = create("lenet5", out="runs/demo").run
    before = fingerprint(run)
    with pytest.raises(RunError, match="is no demo and is never overwritten; choose another folder with --out"):
        quick_demo()
    assert fingerprint(run) == before


def test_a_run_of_one_s_own_on_the_demo_s_data_and_network_stays(quick_demo, fingerprint):
    run = train("digits", model="lenet5", epochs=1, precision="fp32", threads=1, out="runs/demo").run
    before = fingerprint(run)
    with pytest.raises(RunError, match="is no demo and is never overwritten"):
        quick_demo()
    assert fingerprint(run) == before


@pytest.mark.parametrize("name", ["notes.txt", "explanations/notes.txt"])
def test_files_of_one_s_own_in_a_demo_are_never_deleted(quick_demo, fingerprint, name):
    run = quick_demo().run
    (run / name).write_text("mine")
    before = fingerprint(run)
    with pytest.raises(RunError, match=rf"holds {name}, which is not the demo's"):
        quick_demo()
    assert {**fingerprint(run), ".lock": before[".lock"]} == before


def test_a_demo_that_was_stopped_is_marked_and_replaced(quick_demo, monkeypatch):
    room = importlib.import_module("convlens.workbench.demo")
    whole = room.train

    def stop(stage, *_):
        if stage == "train":
            raise Stopped("enough", 130)

    monkeypatch.setattr(room, "train", lambda *args, **options: whole(*args, **{**options, "progress": stop}))
    with pytest.raises(Stopped):
        quick_demo()
    assert json.loads(Path("runs/demo/demo.json").read_text()) == {"demo": True}
    assert Path("runs/demo/checkpoints/last.safetensors").exists()
    monkeypatch.setattr(room, "train", whole)
    assert quick_demo().num_test_pictures == 179


def test_a_folder_of_somebody_s_is_not_marked(quick_demo, fingerprint):
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    before = fingerprint(Path("mine"))
    with pytest.raises(RunError, match=r"mine holds notes\.txt"):
        quick_demo(out="mine")
    assert fingerprint(Path("mine")) == before


def test_a_demo_that_still_runs_is_not_replaced(quick_demo):
    run = quick_demo().run
    with FolderLock(run), pytest.raises(StorageError, match="in use"):
        quick_demo()
    assert (run / "run.json").exists()
