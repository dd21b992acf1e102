"""`shrink`: a new run, smaller, fine-tuned on the same pictures, and an honest word on what it was worth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import convlens
from convlens.errors import DataError, NetworkError, RunError, Stopped, UsageError
from convlens.measurement import Latency, Paired
from convlens.runs import Run
from convlens.workbench.shrunk import Size, verdict_on
from tests.docs.test_run_format import check


def test_a_run_becomes_a_smaller_one_that_still_classifies(trained_run: Path, tmp_path: Path) -> None:
    before = (trained_run / "run.json").read_bytes()
    result = convlens.shrink(trained_run, prune=0.5, epochs=3, out=tmp_path / "small")
    assert result.after.parameters < 0.3 * result.before.parameters
    assert result.after.weight_bytes < 0.3 * result.before.weight_bytes
    assert result.after.macs < 0.4 * result.before.macs
    assert result.after.accuracy is not None and result.after.accuracy > 0.7
    assert result.after.accuracy_low < result.after.accuracy < result.after.accuracy_high
    assert result.answers is not None and result.answers.num_pictures == result.num_pictures == 179
    assert (trained_run / "run.json").read_bytes() == before
    small, whole = Run.load(result.run), Run.load(trained_run)
    check(json.loads(small.folder.manifest.read_text()))
    assert small.splits == whole.splits
    assert small.manifest.weights["from"] == str(whole.folder.weights)
    assert "smaller" in result.verdict


def test_a_pruned_run_can_be_pruned_again(trained_run: Path, tmp_path: Path) -> None:
    first = convlens.shrink(trained_run, prune=0.3, epochs=1, out=tmp_path / "first")
    second = convlens.shrink(first.run, prune=0.3, epochs=1, out=tmp_path / "second")
    assert second.before.parameters == first.after.parameters
    assert second.after.parameters < 0.7 * second.before.parameters
    run = Run.load(second.run)
    images = torch.randn(2, *run.input_shape[1:])
    assert torch.equal(run.model(images), Run.load(second.run).model(images))


def test_an_interrupted_fine_tuning_goes_on_to_the_same_weights(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"prune": 0.5, "epochs": 2, "precision": "fp32", "threads": 1}
    whole = convlens.shrink(trained_run, out=tmp_path / "whole", **options)

    from convlens.training.loop import Training

    def stop(training: Training, request: object) -> None:
        training.save()
        raise Stopped("stopped", 130)

    monkeypatch.setattr(Training, "_between_steps", lambda self: stop(self, None) if self.tally.step == 20 else None)
    with pytest.raises(Stopped):
        convlens.shrink(trained_run, out=tmp_path / "cut", **options)
    monkeypatch.undo()
    convlens.train(resume=tmp_path / "cut")
    one, two = (Run.load(path).model.state_dict() for path in (whole.run, tmp_path / "cut"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_where_a_run_goes_is_never_taken_and_nothing_half_made_is_left(trained_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="never overwritten"):
        convlens.shrink(trained_run, epochs=1, out=trained_run)
    with pytest.raises(UsageError, match="share to prune came as 1"):
        convlens.shrink(trained_run, prune=1.0, out=tmp_path / "new")
    with pytest.raises(UsageError, match="importance"):
        convlens.shrink(trained_run, importance="size", out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_other_pictures_and_runs_without_channels_to_remove_are_refused(trained_run: Path, tmp_path: Path) -> None:
    from PIL import Image

    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(12):
            Image.new("L", (8, 8), 10 * number + 100 * (name == "cat")).save(
                tmp_path / "pictures" / name / f"{number}.png"
            )
    with pytest.raises(DataError, match="has the classes cat, dog"):
        convlens.shrink(trained_run, tmp_path / "pictures", epochs=1, out=tmp_path / "new")
    flat = convlens.train(tmp_path / "pictures", model="perceptron", epochs=1, out=tmp_path / "flat", image_size=28)
    with pytest.raises(NetworkError, match="no channels that can be removed"):
        convlens.shrink(flat.run, epochs=1, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_verdict_begins_with_what_did_not_get_better() -> None:
    latency = Latency(1.0, 1.0, 1.0, 1.0, 1000.0, 50, 1, 1)
    size = Size(100, 1000, 400, latency, 0.9, 0.8, 1.0)
    smaller, faster = replace(size, weight_bytes=100), replace(latency, p50_ms=0.5)
    assert verdict_on(size, size) == "not smaller, not faster on this machine"
    assert verdict_on(size, smaller) == "not faster on this machine, 4 times smaller"
    assert verdict_on(size, replace(smaller, latency=faster)) == "4 times smaller, 2 times as fast"
    answers = Paired(1000, 0.9, 80, 20, 1e-6, -0.06, -0.08, -0.04)
    assert verdict_on(size, smaller, answers).endswith("4 times smaller, 6.00 points less accurate")
    assert verdict_on(size, smaller, replace(answers, p_value=0.4)) == verdict_on(size, smaller)
    slower = replace(smaller, latency=replace(latency, p50_ms=2.0))
    assert verdict_on(size, slower).startswith("slower on this machine (2 times the time), 4 times")


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
    convlens.train("digits", network=own, epochs=1, out=tmp_path / "own", precision="fp32", threads=1)
    result = convlens.shrink(tmp_path / "own", network=own, prune=0.5, epochs=1, out=tmp_path / "small")
    assert result.after.parameters < 0.5 * result.before.parameters
    scored = convlens.evaluate(result.run, network=own)
    assert scored.scores.accuracy == result.after.accuracy
    with pytest.raises(RunError, match="holds a network of your own"):
        convlens.evaluate(result.run)
