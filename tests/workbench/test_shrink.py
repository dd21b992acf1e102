"""Smaller runs of a run: what they begin with, which pictures they see, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from convlens.errors import DataError, RunError, UsageError
from convlens.runs import Run
from convlens.workbench import shrink, train
from convlens.workbench.shrink import Shrunk

QUICK = {"epochs": 1, "precision": "fp32", "threads": 1}
WIDE = {"model": "mobilenet_v1", "image_size": 32, "model_options": {"width": 0.5}, "weights": "none", **QUICK}


@pytest.fixture(scope="module")
def wide(tmp_path_factory, make_pictures) -> Path:
    """A MobileNet v1 of half the width after an epoch of 40 pictures of 32 px."""
    folder = tmp_path_factory.mktemp("wide")
    return train(make_pictures(folder / "shapes"), out=folder / "wide", **WIDE).run


@pytest.fixture(scope="module")
def narrow(wide, tmp_path_factory):
    return shrink(wide, width=0.25, out=tmp_path_factory.mktemp("narrow") / "run", **QUICK)


def test_a_narrower_network_of_the_family_learns_from_the_run(wide, narrow):
    (one,) = narrow.shrunk
    made = Run.load(one.run).manifest
    assert made.architecture["options"] == {"width": 0.25}
    assert (made.plan or {})["teacher"]["run"] == str(wide)
    assert one.figures.parameters < narrow.before.parameters / 2
    assert one.file_bytes == (one.run / "weights.safetensors").stat().st_size < narrow.before_bytes
    assert one.smaller


def test_it_is_divided_as_the_run_was_and_keeps_its_preprocessing(wide, narrow):
    before, after = Run.load(wide), Run.load(narrow.shrunk[0].run)
    assert after.splits == before.splits
    assert after.preprocess == before.preprocess
    assert narrow.num_pictures == before.splits.counts()["test"]


def test_at_another_resolution_the_weights_of_the_run_learn_on_and_it_stays_as_it_is(wide, tmp_path, fingerprint):
    told: list[str] = []
    asked = {"teach": False, "tell": told.append, "learning_rate": 1e-12, **QUICK}
    files = fingerprint(wide)
    (one,) = shrink(wide, resolution=24, out=tmp_path / "run", **asked).shrunk
    assert fingerprint(wide) == files
    before, after = Run.load(wide), Run.load(one.run)
    assert (after.manifest.plan or {})["teacher"] is None
    assert after.preprocess.size == (24, 24)
    assert (after.manifest.plan or {})["goes_on"]
    assert "24px: the weights of the run learn on" in told
    for name, weight in before.model.named_parameters():
        torch.testing.assert_close(after.model.get_parameter(name), weight, atol=1e-6, rtol=0)


def test_where_the_weights_do_not_fit_the_size_a_new_network_begins(lesson, tmp_path):
    told: list[str] = []
    (one,) = shrink(lesson.run, resolution=14, out=tmp_path / "new", tell=told.append, **QUICK).shrunk
    assert "14px: a new network learns from the run" in told
    assert not (Run.load(one.run).manifest.plan or {})["goes_on"]


@pytest.mark.slow
def test_several_widths_and_sizes_make_a_run_each_and_a_curve(wide, tmp_path):
    found = shrink(wide, width=(0.5, 0.25), resolution=24, out=tmp_path / "all", plot=tmp_path / "curve.svg", **QUICK)
    names = [one.run.relative_to(tmp_path).as_posix() for one in found.shrunk]
    assert names == ["all/width0.5-24px", "all/width0.25-24px"]
    assert "<svg" in (tmp_path / "curve.svg").read_text()


def test_pictures_that_changed_since_are_refused(tmp_path, make_pictures, quickly):
    data = make_pictures(tmp_path / "shapes")
    run = train(data, out=tmp_path / "run", **quickly).run
    (data / "circle" / "000.jpg").unlink()
    with pytest.raises(DataError, match="holds other pictures"):
        shrink(run, resolution=14, out=tmp_path / "small", **QUICK)
    assert not (tmp_path / "small").exists()


def test_pictures_of_other_classes_are_refused(lesson, tmp_path, make_pictures):
    with pytest.raises(UsageError, match="has other classes than"):
        shrink(lesson.run, make_pictures(tmp_path / "x", classes=("star", "line")), resolution=14, **QUICK)


def test_nothing_is_overwritten(lesson, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me")
    with pytest.raises(RunError, match="letter"):
        shrink(lesson.run, resolution=14, out=tmp_path / "mine", **QUICK)


WRONG = {
    "nothing": ({}, "nothing to make smaller"),
    "no multiplier": ({"width": 0.5}, "perceptron has no width multiplier"),
    "as it is": ({"resolution": 28}, "has width 1 and 28 px already"),
    "too small": ({"resolution": 0}, "image_size"),
    "unknown": ({"resolution": 14, "epoch": 3}, "no training option is called 'epoch'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_had_is_said_before_a_picture_is_read(case, lesson, tmp_path):
    options, says = WRONG[case]
    with pytest.raises(UsageError, match=says):
        shrink(lesson.run, out=tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("smaller", "faster", "says"),
    [
        (True, True, "smaller and faster"),
        (True, False, "smaller, but not faster"),
        (False, True, "faster on this machine, but not smaller"),
        (False, False, "neither smaller nor faster"),
    ],
)
def test_the_verdict_says_what_is_a_fact(narrow, smaller, faster, says):
    one: Shrunk = replace(narrow.shrunk[0], smaller=smaller, faster=faster)
    assert one.verdict.startswith(says)
