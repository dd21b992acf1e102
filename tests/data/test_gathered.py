"""What an accelerator does by indices is what the CPU does in NumPy; both run here on the CPU."""

from __future__ import annotations

import pytest
import torch

from convlens.data import gathered, geometry


def pictures(count=25, height=12, width=10, channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def test_the_same_pictures_are_mirrored():
    which = torch.arange(25) % 3 == 0
    assert torch.equal(gathered.mirror(pictures(), which), geometry.mirror(pictures(), which))


@pytest.mark.parametrize("border", geometry.BORDERS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("reach", [1, 2, 7])
def test_pictures_are_shifted_to_the_same_places(border, channels, reach):
    images = pictures(49, channels=channels)
    places = torch.arange(49) * 31 % (2 * reach + 1), torch.arange(49) * 17 % (2 * reach + 1)
    expected = geometry.shift(images, *places, reach=reach, border=border)
    assert torch.equal(gathered.shift(images, *places, reach=reach, border=border), expected)


BOXES = [
    (0, 0, 40, 30),
    (3, 5, 20, 21),
    (10, 0, 12, 16),
    (39, 29, 1, 1),
    (7, 2, 33, 9),
    (0, 11, 5, 19),
]  # top, left, height, width


@pytest.mark.parametrize("size", [(16, 16), (24, 9), (40, 30), (64, 50)])
def test_crops_are_within_a_grey_level(size):
    images, boxes = pictures(len(BOXES), 40, 30), torch.tensor(BOXES)
    which = torch.arange(len(BOXES)) % 2 == 0
    seen = gathered.crop(images, boxes, size, mirrored=which)
    expected = geometry.crop(images, boxes, size, mirrored=which)
    assert seen.shape == expected.shape
    assert int((seen.int() - expected.int()).abs().max()) <= 1
