"""A batch that the GPU makes is the one that the CPU makes: the same draws, the same places."""

from __future__ import annotations

import pytest
import torch

from convlens.data import Augment, Batches
from convlens.pictures import Preprocess

GPU = torch.device("cuda")
PREPROCESS = Preprocess((32, 24), "crop", 3, (0.5, 0.4, 0.3), (0.25, 0.2, 0.3))
LEVEL = 1 / 255 / 0.2  # a grey level, normalised
EXACT = [
    Augment(),
    Augment(flip=True, shift=4),
    Augment(flip=True, alternate=True, shift=2, border="reflect"),
    Augment(mixup=0.4),
    Augment(cutmix=1.0),
]
CLOSE = [
    Augment(flip=True, zoom=0.35),
    Augment(rotate=20),
    Augment(rotate=20, border="reflect"),
    Augment(brightness=0.3, contrast=0.3, saturation=0.3),
    Augment(hue=0.1),
    Augment(lighting=0.1),
    Augment(cutout=8),
]


def pictures(size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    rough = torch.rand(64, 3, size[0] // 4, size[1] // 4, generator=generator)
    smooth = torch.nn.functional.interpolate(rough, size, mode="bilinear")
    return (255 * smooth).to(torch.uint8), torch.arange(64) % 10


def both(ask: Augment, step: int, size: tuple[int, int] | None = None) -> list[tuple[torch.Tensor, torch.Tensor]]:
    kept = (40, 32) if ask.zoom < 1 else PREPROCESS.size
    here = Batches(*pictures(kept), PREPROCESS, ask, batch=16, seed=3)
    there = here.on(GPU)
    assert there.pixels.is_cuda
    assert not here.pixels.is_cuda
    return [here(step, size), there(step, size)]


@pytest.mark.parametrize("ask", EXACT, ids=str)
@pytest.mark.parametrize("step", [0, 5])
def test_moved_and_mixed_pictures_are_the_same(ask, step):
    (images, labels), (there, labels_there) = both(ask, step)
    assert there.is_cuda
    assert labels_there.is_cuda
    torch.testing.assert_close(there.cpu(), images, rtol=0, atol=1e-5)
    torch.testing.assert_close(labels_there.cpu(), labels)


@pytest.mark.parametrize("ask", CLOSE, ids=str)
def test_resized_and_recoloured_pictures_are_within_a_grey_level(ask):
    (images, labels), (there, labels_there) = both(ask, 2)
    assert float((there.cpu() - images).abs().max()) < 1.01 * LEVEL
    assert torch.equal(labels_there.cpu(), labels)


def test_reduced_pictures_are_within_a_grey_level():
    (images, _), (there, _) = both(Augment(flip=True, shift=2), 1, (24, 18))
    assert there.shape == (16, 3, 24, 18)
    assert float((there.cpu() - images).abs().max()) < 1.01 * LEVEL
