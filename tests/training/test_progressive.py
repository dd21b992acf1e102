"""Pictures that grow as training goes on."""

from __future__ import annotations

import os
import signal
import sys

import pytest
import torch
from torch import nn

from convlens.errors import Stopped, UsageError
from convlens.training import Recipe
from convlens.training.loop import Training
from convlens.training.schedule import size_at

fit_file = sys.modules["convlens.training.fit"]  # `convlens.training.fit` is the function
ANY_SIZE = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("size", "start", "progress", "expected"),
    [
        ((32, 32), 1.0, 0.0, (32, 32)),
        ((32, 32), 0.75, 0.0, (24, 24)),
        ((32, 32), 0.75, 0.3, (24, 24)),
        ((32, 32), 0.75, 0.33, (28, 28)),
        ((32, 32), 0.75, 0.65, (32, 32)),
        ((32, 32), 0.75, 1.0, (32, 32)),
        ((224, 224), 0.5, 0.0, (112, 112)),
        ((100, 50), 0.5, 0.1, (50, 25)),
        ((6, 5), 0.5, 0.0, (3, 2)),
        ((6, 5), 0.01, 0.0, (1, 1)),
    ],
)
def test_sides_grow_by_eighths(size, start, progress, expected):
    assert size_at(size, start, progress) == expected


def test_no_size_is_larger_than_the_full_one_or_smaller_than_the_one_before():
    for side in range(1, 70):
        sizes = [size_at((side, side), 0.4, progress / 50)[0] for progress in range(51)]
        assert sizes == sorted(sizes)
        assert sizes[0] >= 1 and sizes[-1] == side


def sized() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


@pytest.fixture
def growing(training, monkeypatch):
    """growing(name) -> a training of 12 steps from half of the side on, and the sides of its batches."""
    monkeypatch.setitem(training.__globals__, "small_network", sized)

    def make(name: str) -> tuple[Training, list[int]]:
        made, sides = training(12, name, progressive=0.5), []
        made.network.register_forward_pre_hook(
            lambda module, given: sides.append(given[0].shape[2]) if module.training else None
        )
        return made, sides

    return make


def test_a_stopped_training_goes_on_with_the_sizes_that_it_had_reached(growing):
    whole, sides = growing("whole")
    whole.run()
    assert sides == [4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 8, 8]
    first, _ = growing("stopped")
    with pytest.raises(Stopped):
        first.run(progress=lambda _, done, *__: os.kill(os.getpid(), signal.SIGINT) if done == 5 else None)
    second, rest = growing("stopped")
    second.resume()
    second.run()
    assert rest == sides[5:]
    for mine, its in zip(second.network.state_dict().values(), whole.network.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, its, rtol=0, atol=0)


def test_a_network_of_one_size_is_refused_before_training():
    fixed = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    images, labels = torch.rand(9, 1, 8, 8), torch.zeros(9, dtype=torch.int64)
    fit_file.check_smallest_size(ANY_SIZE, images, labels, 2, 0.5)
    with pytest.raises(UsageError, match=r"--progressive 0.5 begins with pictures of 4×4 px.*leave it out"):
        fit_file.check_smallest_size(fixed, images, labels, 2, 0.5)


@pytest.mark.parametrize("wrong", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(wrong):
    with pytest.raises(UsageError, match="progressive came as"):
        Recipe(progressive=wrong)
