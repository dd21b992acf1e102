"""Corruptions do to pictures what they say, by hand where that can be; curves count what is right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from convlens.errors import UsageError
from convlens.measurement import bootstrap_interval, robustness
from convlens.measurement.corruptions import CORRUPTIONS, corruption

PIXELS = torch.randint(0, 256, (6, 3, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
NOTHING = {"rotation": 0, "scale": 1, "shift": 0, "blur": 0, "noise": 0, "occlusion": 0}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_keeps_shape_and_type_and_is_the_same_again(name):
    change = corruption(name)
    hardest = change.levels[-1]
    changed = change(PIXELS, hardest, seed=3)
    assert changed.shape == PIXELS.shape and changed.dtype == torch.uint8
    assert torch.equal(changed, change(PIXELS, hardest, seed=3))
    assert not torch.equal(changed, PIXELS)
    grey = change(PIXELS[:, :1], hardest, seed=3)
    assert grey.shape == (6, 1, 20, 24)


@pytest.mark.parametrize("name", NOTHING)
def test_its_first_level_changes_nothing(name):
    assert CORRUPTIONS[name].levels[0] == NOTHING[name]
    assert (corruption(name)(PIXELS, NOTHING[name]).int() - PIXELS.int()).abs().max() <= 1


def test_a_half_turn_is_a_half_turn_and_a_quarter_of_a_square_a_quarter():
    assert (corruption("rotation")(PIXELS, 180).int() - PIXELS.flip(2, 3).int()).abs().max() <= 1
    square = PIXELS[:, :, :, :20]
    turned = corruption("rotation")(square, 90, seed=1)
    left, right = (torch.rot90(square, k, (2, 3)) for k in (1, 3))
    sides = [min((turned[i].int() - way[i].int()).abs().max().item() for way in (left, right)) for i in range(6)]
    assert max(sides) <= 1
    which = [(turned[i].int() - left[i].int()).abs().max().item() <= 1 for i in range(6)]
    assert any(which) and not all(which)  # to either side


def test_a_turn_of_an_oblong_picture_keeps_its_shapes():
    """A round spot in the middle stays one (farther out reflections come in)."""
    rows, columns = torch.meshgrid(torch.arange(40) - 19.5, torch.arange(80) - 39.5, indexing="ij")
    spot = (255 * torch.exp(-(rows**2 + columns**2) / 50)).to(torch.uint8)[None, None]
    turned = corruption("rotation")(spot, 45)
    middle = (..., slice(7, 33), slice(27, 53))
    assert (turned[middle].float() - spot[middle].float()).abs().mean() < 1.5


def test_twice_as_large_is_the_middle_half():
    middle = PIXELS[:, :, 5:15, 6:18].float()
    larger = corruption("scale")(PIXELS, 2).float()
    halved = torch.nn.functional.interpolate(middle, (20, 24), mode="bilinear")
    torch.testing.assert_close(larger[:, :, 2:-2, 2:-2], halved[:, :, 2:-2, 2:-2], atol=1.0, rtol=0)


def test_a_shift_is_as_long_as_it_says():
    dot = torch.zeros(8, 1, 41, 41, dtype=torch.uint8)
    dot[:, :, 18:23, 18:23] = 255
    moved = corruption("shift")(dot, 20, seed=2).float()[:, 0]
    places = torch.arange(41.0) - 20
    weights = moved / moved.sum((1, 2), keepdim=True)
    rows, columns = (weights.sum(2) * places).sum(1), (weights.sum(1) * places).sum(1)
    torch.testing.assert_close((rows**2 + columns**2).sqrt(), torch.full((8,), 0.2 * 41), atol=0.1, rtol=0)
    assert rows.std() > 1 and columns.std() > 1


def test_blur_is_a_gaussian():
    blurred = corruption("blur")(PIXELS, 5)  # a deviation of 1 pixel
    expected = gaussian_filter(PIXELS.numpy().astype(float), (0, 0, 1, 1), mode="mirror", radius=(0, 0, 3, 3))
    assert np.abs(blurred.numpy() - expected).max() <= 1


def test_noise_has_its_deviation():
    grey = torch.full((4, 3, 64, 64), 128, dtype=torch.uint8)
    noisy = corruption("noise")(grey, 16).float() - 128
    assert abs(noisy.mean().item()) < 0.3 and noisy.std().item() == pytest.approx(16, abs=0.3)
    assert abs((noisy[:, 0] * noisy[:, 1]).mean().item()) < 5


def test_a_lower_quality_is_farther_from_the_picture():
    smooth = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16).contiguous()
    errors = [(corruption("jpeg")(smooth, q).float() - smooth.float()).abs().mean() for q in (95, 50, 5)]
    assert errors[0] < errors[1] < errors[2]


def test_occlusion_covers_its_share_somewhere():
    bright = torch.full((20, 3, 40, 40), 255, dtype=torch.uint8)
    covered = corruption("occlusion")(bright, 20, seed=1) == 128
    assert covered.float().mean().item() == pytest.approx((round(0.2**0.5 * 40) / 40) ** 2)
    assert len({tuple(torch.nonzero(one[0])[0].tolist()) for one in covered}) > 10


def test_curves_count_what_is_right():
    labels = torch.tensor([0, 0, 1, 1, 1, 1])

    def by_brightness(pixels):
        return torch.stack([127.5 - pixels.float().mean((1, 2, 3)), torch.zeros(len(pixels))], 1)

    pixels = torch.full((6, 1, 20, 20), 200, dtype=torch.uint8)
    pixels[:2] = 0
    (curve,) = robustness(by_brightness, pixels, labels, names=["occlusion"])
    assert curve.num_pictures == 6 and [point.level for point in curve.points] == sorted(
        CORRUPTIONS["occlusion"].levels
    )
    assert curve.points[0].accuracy == 1.0 and (curve.points[0].low, curve.points[0].high) == bootstrap_interval(6, 6)
    seen = []
    robustness(by_brightness, pixels, labels, names=["shift"], progress=lambda *step: seen.append(step))
    assert seen[-1] == ("corrupt", 6, 6, "shift")


def test_unknown_names_and_other_types_are_refused():
    with pytest.raises(UsageError, match=r"no corruption is called 'blurr' \(near: blur\)"):
        robustness(lambda x: x, PIXELS, torch.zeros(6), names=["blurr"])
    with pytest.raises(UsageError, match="expected uint8"):
        corruption("blur")(PIXELS.float(), 1)
