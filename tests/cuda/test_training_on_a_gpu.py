"""Training on a GPU: it learns, it goes on where it stopped, its run is read on any machine."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch

import convlens
from convlens.data import Augment, Batches
from convlens.errors import RunError, Stopped
from convlens.pictures import Preprocess
from convlens.runs import RunFolder, read_history
from convlens.training import Plan, Recipe, Task
from convlens.training.loop import Training
from convlens.training.schedule import Segment
from convlens.zoo import create

PREPROCESS = Preprocess((32, 32), "crop", 3, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def training(folder, *, steps=40, network=None, rate=0.02, **recipe) -> Training:
    """Class k is a picture with a bright row band at 3k."""
    torch.manual_seed(0)
    labels = torch.arange(640) % 10
    pixels = torch.randint(0, 60, (640, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    for place, label in enumerate(labels.tolist()):
        pixels[place, :, 3 * label : 3 * label + 3] += 150
    batches = Batches(pixels, labels, PREPROCESS, Augment(shift=1), batch=64, seed=0)
    task = Task(batches, pixels[:200], labels[:200], PREPROCESS, None, {"name": "small"})
    folder.mkdir(exist_ok=True)
    plan = Plan(64, 10, rate, (Segment(0, 0.0, steps),), precision="bf16", layout="channels_last", device="cuda")
    network = create("resnet20", num_classes=10) if network is None else network
    return Training(network, task, Recipe(**recipe), plan, RunFolder(folder))


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"optimiser": "sgd", "rate": 0.1, "lookahead": 0.8, "l1": 1e-6},
        {"optimiser": "muon", "on_sphere": True, "freeze_stem": 0.5, "progressive": 0.75, "rate": 0.05},
        {"ema": 0.9},
    ],
    ids=str,
)
def test_it_learns(tmp_path, recipe):
    made = training(tmp_path / "run", **recipe)
    made.run()
    rows = read_history(made.folder.history)
    assert made.batches.pixels.is_cuda
    assert rows[-1]["val_accuracy"] > 0.95
    assert [row["step"] for row in rows] == [10, 20, 30, 40]
    assert made.tally.step == 40
    assert not made.learn.cannot
    assert made.learn._graph is not None


def test_a_recorded_step_does_what_the_step_does(tmp_path):
    """Rates that change, weights that decay, a stem that is frozen on the way: all of it is read at every step."""
    recipe = {"optimiser": "muon", "weight_decay": 0.05, "freeze_stem": 0.5, "ema": 0.9}
    recorded, plain = training(tmp_path / "recorded", **recipe), training(tmp_path / "plain", **recipe)
    plain.learn = plain._learn
    for made in (recorded, plain):
        made.run()
    losses = [[row["loss"] for row in read_history(made.folder.history)] for made in (recorded, plain)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.05)
    for mine, its in zip(recorded.network.parameters(), plain.network.parameters(), strict=True):
        assert torch.allclose(mine, its, atol=0.05)


class Looks(torch.nn.Module):
    """Whose pass depends on a value that the processor must know."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))

    def forward(self, images):
        return self.head(images) if float(images.mean()) < 100 else self.head(-images)


def test_a_network_that_looks_at_its_values_is_trained_as_it_comes(tmp_path):
    made = training(tmp_path / "run", network=Looks(), rate=0.005)
    made.run()
    assert made.learn.cannot
    assert read_history(made.folder.history)[-1]["val_accuracy"] > 0.95


def test_dropout_is_drawn_anew_at_every_recorded_step(tmp_path):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(3072, 10))
    made = training(tmp_path / "run", network=network, rate=0.0)
    images, labels = torch.ones(64, 3, 32, 32, device="cuda"), torch.arange(64, device="cuda") % 10
    losses = []
    for step in (0, 1, 2, 3, 4, 3):
        torch.manual_seed(step)
        losses.append(float(made.learn(images, labels)[0]))
    assert made.learn._graph is not None
    assert len(set(losses)) == 5
    assert losses[3] == losses[5]


def test_a_stopped_training_goes_on_as_if_it_had_not_been(tmp_path):
    whole = training(tmp_path / "whole")
    whole.run()
    first = training(tmp_path / "run")
    with pytest.raises(Stopped):
        first.run(progress=lambda _, done, *__: os.kill(os.getpid(), signal.SIGINT) if done == 15 else None)
    second = training(tmp_path / "run")
    second.resume()
    assert second.tally.step == 15
    assert second.tally.steps == 5
    second.run()
    assert second.tally.best_accuracy == pytest.approx(whole.tally.best_accuracy, abs=0.02)
    for mine, its in zip(second.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.allclose(mine, its, atol=0.05)


def test_a_loss_that_is_no_number_ends_it(tmp_path):
    with pytest.raises(RunError, match=r"NaN at step \d+"):
        training(tmp_path / "run", optimiser="sgd", rate=1e30).run()


def test_its_run_is_read_on_the_cpu(tmp_path):
    result = convlens.train("digits", model="lenet5", epochs=5, out=tmp_path / "run", device="cuda")
    assert result.val_accuracy > 0.9
    run = convlens.Run.load(tmp_path / "run")
    assert all(p.device.type == "cpu" for p in run.model.parameters())
    assert run.manifest.plan["device"] == "cuda"
    assert run.manifest.machine["accelerator"]
    again = convlens.train("digits", model="lenet5", epochs=5, out=tmp_path / "cpu", device="cpu")
    assert again.val_accuracy == pytest.approx(result.val_accuracy, abs=0.05)
    assert np.isfinite(result.temperature)
