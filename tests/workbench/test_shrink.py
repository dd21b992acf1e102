"""Smaller runs of a run: what they begin with, which pictures they see, and what is said of them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from convlens.errors import DataError, NetworkError, RunError, Stopped, UsageError
from convlens.measurement import Latency, Paired
from convlens.runs import Run
from convlens.training.loop import Training
from convlens.workbench import create, evaluate, shrink, train
from convlens.workbench.shrunk import verdict_on
from convlens.workbench.smaller import Way, design_smaller
from tests.docs.test_run_format import check

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


def test_it_is_divided_as_the_run_was_and_keeps_its_preprocessing(wide, narrow):
    before, after = Run.load(wide), Run.load(narrow.shrunk[0].run)
    assert after.splits == before.splits
    assert after.preprocess == before.preprocess
    assert narrow.num_pictures == before.splits.counts()["test"]


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_is_made_of_a_fine_tuned_run_is_fine_tuned_too(wide, tmp_path):
    weights = {"model": "mobilenet_v1", "weights": str(wide), **QUICK}
    tuned = train(str(wide.parent / "shapes"), out=tmp_path / "tuned", **weights).run
    (one,) = shrink(tuned, resolution=24, out=tmp_path / "small", **QUICK).shrunk
    before, after = Run.load(tuned), Run.load(one.run)
    assert (before.manifest.plan or {})["pretrained"] and (after.manifest.plan or {})["pretrained"]
    norms = [name for name in before.model.state_dict() if name.endswith("running_mean")]
    assert norms and all(torch.equal(before.model.state_dict()[n], after.model.state_dict()[n]) for n in norms)


def test_where_the_weights_do_not_fit_the_size_a_new_network_begins(lesson, tmp_path):
    told: list[str] = []
    (one,) = shrink(lesson.run, resolution=14, out=tmp_path / "new", tell=told.append, **QUICK).shrunk
    assert "14px: a new network learns from the run" in told
    assert not (Run.load(one.run).manifest.plan or {})["goes_on"]


@pytest.mark.slow
def test_several_widths_and_sizes_make_a_run_each_and_a_curve(wide, tmp_path):
    found = shrink(
        wide, width=(0.5, 0.25, 0.5), resolution=24, out=tmp_path / "all", plot=tmp_path / "curve.svg", **QUICK
    )
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
    with pytest.raises(UsageError, match="has the classes line, star"):
        shrink(lesson.run, make_pictures(tmp_path / "x", classes=("star", "line")), resolution=14, **QUICK)


@pytest.fixture
def no_picture_read(monkeypatch: pytest.MonkeyPatch) -> None:
    room = sys.modules["convlens.workbench.shrink"]  # the package's own name for it is the verb
    monkeypatch.setattr(room, "pictures_of", lambda *_, **__: pytest.fail("pictures were read"))


@pytest.mark.parametrize("way", [{"resolution": 14}, {"resolution": (14, 21)}, {"cluster": 5}], ids=str)
@pytest.mark.usefixtures("no_picture_read")
def test_nothing_is_overwritten(lesson, tmp_path, way):
    place = tmp_path / "mine" / "21px" if way == {"resolution": (14, 21)} else tmp_path / "mine"
    place.mkdir(parents=True)
    (place / "letter.txt").write_text("keep me")
    with pytest.raises(RunError, match="letter"):
        shrink(lesson.run, **way, out=tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").rglob("*") if path.is_file()] == ["letter.txt"]


WRONG = {
    "nothing": ({}, "nothing to make smaller"),
    "no multiplier": ({"width": 0.5}, "perceptron has no width multiplier"),
    "as it is": ({"resolution": 28}, "has width 1 and 28 px already"),
    "larger": ({"resolution": 999_999}, "ask for less"),
    "too small": ({"resolution": 0}, "image_size"),
    "all of it": ({"prune": 1.0}, "share to prune came as 1"),
    "no such importance": ({"prune": 0.5, "importance": "size"}, "importance"),
    "width and prune": ({"prune": 0.5, "width": 0.5}, "no width multiplier"),
    "bits": ({"cluster": 17}, "17 bits came for the clusters of a layer; expected 1 to 12"),
    "all zeros": ({"cluster": 5, "sparsity": 1.0}, "a sparsity of 1 came"),
    "unknown": ({"resolution": 14, "epoch": 3}, "no training option is called 'epoch'"),
}


@pytest.mark.usefixtures("no_picture_read")
@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_had_is_said_before_a_picture_is_read(case, lesson, tmp_path):
    options, says = WRONG[case]
    with pytest.raises(UsageError, match=says):
        shrink(lesson.run, out=tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_a_pruned_run_still_classifies_and_learns_on_the_same_pictures(trained_run: Path, tmp_path: Path) -> None:
    before = (trained_run / "run.json").read_bytes()
    found = shrink(trained_run, prune=0.5, epochs=3, out=tmp_path / "small")
    (one,) = found.shrunk
    assert one.figures.parameters < 0.3 * found.before.parameters
    assert one.file_bytes < 0.3 * found.before_bytes
    assert one.figures.macs < 0.4 * found.before.macs
    assert one.figures.accuracy is not None and one.figures.accuracy > 0.7
    assert one.answers.num_pictures == found.num_pictures == 179
    assert (trained_run / "run.json").read_bytes() == before
    small, whole = Run.load(one.run), Run.load(trained_run)
    check(json.loads(small.folder.manifest.read_text()))
    assert small.splits == whole.splits
    assert small.manifest.weights["from"].startswith(str(whole.path))
    assert "smaller" in one.verdict


def test_a_pruned_run_can_be_pruned_again(trained_run: Path, tmp_path: Path) -> None:
    first = shrink(trained_run, prune=0.3, epochs=1, out=tmp_path / "first").shrunk[0]
    found = shrink(first.run, prune=0.3, epochs=1, out=tmp_path / "second")
    assert found.before.parameters == first.figures.parameters
    assert found.shrunk[0].figures.parameters < 0.7 * found.before.parameters
    run = Run.load(found.shrunk[0].run)
    images = torch.randn(2, *run.input_shape[1:])
    assert torch.equal(run.model(images), Run.load(run.path).model(images))


@pytest.mark.slow
def test_a_smaller_size_that_costs_more_is_told_before_it_is_taught(tmp_path: Path) -> None:
    run = create("mobilenet_v2", num_classes=10, image_size=80, model_options={"width": 0.25}, out=tmp_path / "run").run
    assert "2.3 times the MACs, for its family halves" in design_smaller(Run.load(run), Way(resolution=64), 0).words
    assert "MACs" not in design_smaller(Run.load(run), Way(resolution=72), 0).words


def test_a_pruned_run_takes_another_resolution_and_no_other_width(wide: Path, tmp_path: Path) -> None:
    options = {"teach": False, **QUICK}
    first = shrink(wide, prune=0.5, resolution=24, out=tmp_path / "first", **options).shrunk[0]
    second = shrink(first.run, resolution=20, out=tmp_path / "second", **options).shrunk[0]
    assert second.figures.parameters == first.figures.parameters < Run.load(wide).model.head[-1].weight.numel() * 1000
    assert Run.load(second.run).preprocess.size == (20, 20)
    with pytest.raises(UsageError, match="shrink to the width first"):
        shrink(first.run, width=0.25, out=tmp_path / "third", **options)


def test_an_interrupted_one_goes_on_to_the_same_weights(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"prune": 0.5, "epochs": 2, "precision": "fp32", "threads": 1}
    whole = shrink(trained_run, out=tmp_path / "whole", **options).shrunk[0]

    def stop(training: Training) -> None:
        if training.tally.step == 20:
            training.save()
            raise Stopped("stopped", 130)

    monkeypatch.setattr(Training, "_between_steps", stop)
    with pytest.raises(Stopped):
        shrink(trained_run, out=tmp_path / "cut", **options)
    monkeypatch.undo()
    train(resume=tmp_path / "cut")
    one, two = (Run.load(path).model.state_dict() for path in (whole.run, tmp_path / "cut"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_network_without_channels_to_remove_is_refused(lesson, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="no channels that can be removed"):
        shrink(lesson.run, prune=0.5, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_verdict_begins_with_what_did_not_get_better(narrow) -> None:
    latency = Latency(1.0, 1.0, 1.0, 1.0, 1000.0, 50, 1, 1)
    size = replace(narrow.before, latency=latency)
    fast, slow = (replace(size, latency=replace(latency, p50_ms=p50_ms)) for p50_ms in (0.5, 2.0))
    alike = Paired(1000, 0.9, 50, 50, 1.0, 0.0, -0.02, 0.02)
    assert verdict_on(size, size, (400, 400), alike) == "not smaller, not faster on this machine"
    assert verdict_on(size, size, (400, 390), alike) == "not faster on this machine, 2.5% smaller"
    assert verdict_on(size, size, (10_000, 9_999), alike) == "not smaller, not faster on this machine"
    assert verdict_on(size, size, (400, 100), alike) == "not faster on this machine, 4 times smaller"
    assert verdict_on(size, fast, (400, 100), alike) == "4 times smaller, 2 times as fast"
    assert verdict_on(size, slow, (400, 100), alike) == "slower on this machine (2 times the time), 4 times smaller"
    worse = Paired(1000, 0.9, 80, 20, 1e-6, -0.06, -0.08, -0.04)
    assert verdict_on(size, fast, (400, 100), worse).endswith("2 times as fast, 6.00 points less accurate")


OWN = """
import torch.nn.functional as F
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes=10, in_channels=1):
        super().__init__()
        self.one, self.norm = nn.Conv2d(in_channels, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.two = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = F.relu(self.norm(self.one(x)))
        return self.head((x + F.relu(self.two(x))).mean((2, 3)))
"""


def test_a_run_of_an_own_network_is_pruned_and_loaded_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(OWN)
    own = f"{file}:Net"
    train("digits", network=own, epochs=1, out=tmp_path / "own", precision="fp32", threads=1)
    found = shrink(tmp_path / "own", network=own, prune=0.5, epochs=1, out=tmp_path / "small")
    (one,) = found.shrunk
    assert one.figures.parameters < 0.5 * found.before.parameters
    scored = evaluate(one.run, network=own)
    assert scored.scores.accuracy == one.figures.accuracy
    with pytest.raises(RunError, match="holds a network of your own"):
        evaluate(one.run)
    with pytest.raises(UsageError, match="of which no multipliers are known"):
        shrink(tmp_path / "own", network=own, width=0.5, out=tmp_path / "narrow")
