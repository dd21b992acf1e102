"""Pictures that grow as training goes on."""

from __future__ import annotations

import os
import signal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.data import Augment, Batches
from convlens.errors import Stopped, UsageError
from convlens.pictures import Preprocess
from convlens.training import Recipe, Setting, make_plan
from convlens.training.loop import Training
from convlens.training.schedule import size_at

PREPROCESS = Preprocess((8, 8), "crop", 1, (0.5,), (0.25,))


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
        ((224, 224), 0.01, 0.0, (28, 28)),
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
def growing(training):
    """growing(name) -> a training of 12 steps from half of the side on, and the sides of its batches."""

    def make(name: str) -> tuple[Training, list[int]]:
        made, sides = training(12, name, network=sized(), progressive=0.5), []
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


def batches_of(batch: int) -> Batches:
    labels = torch.arange(12) % 2
    pixels = torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Batches(pixels, labels, PREPROCESS, Augment(shift=3), batch=batch, seed=0)


class UpAndDown(nn.Module):
    """Adds what was halved and doubled again: sides must be even."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(1, 2)

    def forward(self, images: Tensor) -> Tensor:
        again = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2)
        return self.last((images + again).mean((2, 3)))


@pytest.mark.parametrize(
    ("network", "size"), [(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), "4×4"), (UpAndDown(), "5×5")]
)
def test_a_network_that_cannot_see_all_sizes_is_refused_before_training(network, size):
    with pytest.raises(UsageError, match=rf"--progressive 0.5 shows pictures of {size} px too.*leave it out"):
        make_plan(network, batches_of, Recipe(progressive=0.5, epochs=1, threads=1, precision="fp32"), Setting(2))


def test_smaller_pictures_are_the_same_ones_reduced():
    batches = batches_of(5)
    (whole, labels), (small, its) = batches(1), batches(1, (4, 4))
    assert torch.equal(labels, its)
    torch.testing.assert_close(small, F.interpolate(whole, (4, 4), mode="bilinear", antialias=True))


@pytest.mark.parametrize("wrong", [0.0, -1.0, 1.5, float("nan")])
def test_what_is_no_share_is_refused(wrong):
    with pytest.raises(UsageError, match="progressive came as"):
        Recipe(progressive=wrong)
