"""Each slider does what its corruption does, signed and the same each time; at rest it changes nothing."""

from __future__ import annotations

import pytest
import torch

from convlens.errors import UsageError
from convlens.measurement.corruptions import CORRUPTIONS
from convlens.measurement.sliders import SLIDERS, changed

PIXELS = torch.randint(0, 256, (1, 3, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_at_rest_nothing_is_changed_to_the_last_bit():
    assert torch.equal(changed(PIXELS, {}), PIXELS)
    assert torch.equal(changed(PIXELS, {name: slider.usual for name, slider in SLIDERS.items()}), PIXELS)


@pytest.mark.parametrize("name", SLIDERS)
def test_each_changes_the_picture_at_either_end_and_the_same_again(name):
    slider = SLIDERS[name]
    for level in {slider.least, slider.most} - {slider.usual}:
        once = changed(PIXELS, {name: level})
        assert once.shape == PIXELS.shape and once.dtype == torch.uint8
        assert not torch.equal(once, PIXELS)
        assert torch.equal(once, changed(PIXELS, {name: level}))


@pytest.mark.parametrize("name", ["scale", "blur", "noise", "jpeg", "occlusion"])
def test_what_has_no_direction_is_the_corruption_itself(name):
    level = CORRUPTIONS[name].levels[3]
    assert torch.equal(changed(PIXELS, {name: level}), CORRUPTIONS[name](PIXELS, level, seed=0))


def test_signs_are_sides():
    square = PIXELS[..., :20]
    turned = changed(square, {"rotation": 90}).int()
    assert (turned - torch.rot90(square, -1, (2, 3)).int()).abs().max() <= 1, "clockwise"
    assert (changed(square, {"rotation": -90}).int() - torch.rot90(square, 1, (2, 3)).int()).abs().max() <= 1
    moved = changed(PIXELS, {"shift": 25}).int()  # 6 of 24 columns
    assert (moved[..., 6:] - PIXELS[..., :-6].int()).abs().max() <= 1
    moved = changed(PIXELS, {"shift_down": -20}).int()  # 4 of 20 rows, upwards
    assert (moved[..., :-4, :] - PIXELS[..., 4:, :].int()).abs().max() <= 1


def test_several_at_once_are_applied_in_the_order_of_the_sliders():
    asked = {"occlusion": 20.0, "rotation": 30.0, "noise": 16.0}
    by_hand = changed(changed(changed(PIXELS, {"rotation": 30}), {"noise": 16}), {"occlusion": 20})
    assert torch.equal(changed(PIXELS, asked), by_hand)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"rotaton": 3}, r"no change is called 'rotaton' \(near: rotation\)"),
        ({"rotation": 181}, "rotation came as 181; expected -180 to 180 degrees, clockwise"),
        ({"blur": -1}, "blur came as -1; expected 0 to 5"),
        ({"noise": float("nan")}, "noise is nan; expected a finite number"),
        ({"noise": "much"}, "noise is 'much'; expected a finite number"),
    ],
)
def test_a_slider_that_is_not_there_or_a_level_off_it_is_refused(asked, words):
    with pytest.raises(UsageError, match=words):
        changed(PIXELS, asked)
