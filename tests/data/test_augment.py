"""Augmentation of whole batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from convlens.data import Augment, geometry
from convlens.data import augment as augment_file
from convlens.data.augment import boxes, mirrored, move, paint
from convlens.data.draws import Draws
from convlens.data.light import principal_colours

SIZE = (12, 10)


def pictures(count=16, height=12, width=10):
    return torch.randint(
        0, 256, (count, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def draws(count=16, epoch=0):
    return Draws(0, epoch, np.arange(count))


def augment(images, ask, drawn, size, *, colours=None):
    return paint(move(images, ask, drawn, size), ask, drawn, colours=colours)


def test_nothing_asked_changes_nothing():
    assert torch.equal(augment(pictures(), Augment(), draws(), SIZE), pictures().float())


def test_about_half_are_mirrored_and_none_is_changed_otherwise():
    batch = pictures(1000)
    seen = augment(batch, Augment(flip=True), draws(1000), SIZE)
    same = (seen == batch).all(dim=(1, 2, 3))
    mirrored = (seen == batch.flip(3)).all(dim=(1, 2, 3))
    assert bool((same | mirrored).all())
    assert 430 < int(mirrored.sum()) < 570


def test_a_shift_moves_the_picture_and_repeats_its_edge():
    batch = pictures(64)
    seen = augment(batch, Augment(shift=2), draws(64), SIZE)
    offsets = set()
    for before, after in zip(batch.float(), seen, strict=True):
        padded = torch.nn.functional.pad(before[None], (2, 2, 2, 2), mode="replicate")[0]
        found = [(y, x) for y in range(5) for x in range(5) if torch.equal(padded[:, y : y + 12, x : x + 10], after)]
        assert found
        offsets.add(found[0])
    assert len(offsets) > 15


def test_a_crop_of_the_whole_area_is_the_picture():
    batch = pictures(4)
    seen = augment(batch, Augment(zoom=0.9999999), draws(4), SIZE)
    # the aspect is still drawn, so compare where it is the identity: means stay close
    assert torch.allclose(seen.mean(), batch.float().mean(), atol=12)


def test_a_crop_keeps_a_constant_picture_constant():
    seen = augment(torch.full((8, 3, 16, 16), 77, dtype=torch.uint8), Augment(zoom=0.3, flip=True), draws(8), SIZE)
    assert seen.shape == (8, 3, *SIZE)
    assert torch.allclose(seen, torch.tensor(77.0))


def test_light_stays_within_the_range():
    seen = augment(pictures(64), Augment(brightness=0.9, contrast=0.9), draws(64), SIZE)
    assert seen.min() >= 0 and seen.max() <= 255
    assert not torch.equal(seen, pictures(64).float())


def test_cutout_sets_a_square_to_the_mean():
    batch = pictures(32)
    seen = augment(batch, Augment(cutout=4), draws(32), SIZE)
    changed = (seen != batch.float()).any(dim=1).flatten(1).sum(dim=1)
    assert changed.max() <= 16 and changed.float().mean() > 8


def test_larger_pictures_are_cropped_to_the_middle():
    big = pictures(2, 20, 20)
    assert torch.equal(augment(big, Augment(), draws(2), SIZE), big[:, :, 4:16, 5:15].float())


def test_an_epoch_draws_anew():
    assert not torch.equal(
        augment(pictures(), Augment(shift=2), draws(epoch=0), SIZE),
        augment(pictures(), Augment(shift=2), draws(epoch=1), SIZE),
    )


def test_mirrored_pictures_alternate_between_epochs():
    batch, ask = pictures(200), Augment(flip=True, alternate=True)
    epochs = [augment(batch, ask, draws(200, epoch), SIZE) for epoch in range(5)]
    assert torch.equal(epochs[0], augment(batch, Augment(flip=True), draws(200, 0), SIZE))
    assert torch.equal(epochs[0], epochs[2]) and torch.equal(epochs[1], epochs[3])
    assert torch.equal(epochs[0], epochs[1].flip(3))


def test_boxes_keep_the_area_and_the_shape_that_were_asked():
    seen = boxes(0.35, draws(2000), (256, 200)).double()
    top, left, height, width = seen.unbind(1)
    assert bool((top >= 0).all() and (left >= 0).all() and (top + height <= 256).all() and (left + width <= 200).all())
    shares = height * width / (256 * 200)
    assert shares.min() > 0.33 and shares.max() <= 1
    assert 0.6 < shares.mean() < 0.7
    inside = (height < 256) & (width < 200)
    aspects = (width / 200) / (height / 256)
    assert aspects[inside].min() > 0.73 and aspects[inside].max() < 1.37
    assert (top[inside] == 0).float().mean() < 0.1 and (left[inside] == 0).float().mean() < 0.1


def test_a_crop_is_mirrored_too():
    batch = pictures(64, 20, 20)
    plain = augment(batch, Augment(zoom=0.5), draws(64), SIZE)
    seen = augment(batch, Augment(zoom=0.5, flip=True), draws(64), SIZE)
    assert all(torch.equal(a, b) or torch.equal(a, b.flip(2)) for a, b in zip(plain, seen, strict=True))
    assert not torch.equal(plain, seen)


def test_turns_are_drawn_for_each_picture_within_what_is_asked():
    """A ramp from left to right: turned by t, the middle column rises by the sine of t."""
    ramp = (8.0 * torch.arange(31)).expand(300, 1, 31, 31).to(torch.uint8)
    seen = augment(ramp, Augment(rotate=20), draws(300), (31, 31))
    degrees = torch.rad2deg(torch.asin((seen[:, 0, 14, 15] - seen[:, 0, 16, 15]) / 16))
    assert -20 <= degrees.min() < -19 and 19 < degrees.max() <= 20
    assert abs(degrees.mean()) < 2


def test_lighting_draws_from_a_normal_distribution_for_each_direction():
    colours = torch.diag(torch.tensor([10.0, 20.0, 40.0]))
    grey = torch.full((4000, 3, 3, 3), 128, dtype=torch.uint8)
    added = augment(grey, Augment(lighting=0.5), draws(4000), (3, 3), colours=colours)[:, :, 0, 0] - 128
    torch.testing.assert_close(added.std(dim=0), torch.tensor([5.0, 10.0, 20.0]), rtol=0.05, atol=0)
    assert added.T.corrcoef().fill_diagonal_(0).abs().max() < 0.05
    assert (added.abs() < added.std(dim=0)).float().mean() == pytest.approx(0.683, abs=0.02)


ALL = {
    "flip": True, "alternate": True, "shift": 2, "border": "reflect", "rotate": 15, "brightness": 0.2, "contrast": 0.2,
    "saturation": 0.3, "hue": 0.1, "lighting": 0.1, "cutout": 4,
}  # fmt: skip


@pytest.mark.parametrize("zoom", [1.0, 0.5])
def test_a_picture_is_the_same_in_any_batch_and_order(zoom):
    batch, ask = pictures(16, 20, 20), Augment(zoom=zoom, **ALL)
    colours = principal_colours(batch)
    whole = augment(batch, ask, draws(), SIZE, colours=colours)
    for chosen in ([3], [9, 2, 15, 4, 0]):
        few = augment(batch[chosen], ask, Draws(0, 0, np.array(chosen)), SIZE, colours=colours)
        torch.testing.assert_close(few, whole[chosen], atol=1e-3, rtol=0)
    assert whole.min() >= 0 and whole.max() <= 255


def test_a_batch_whose_colours_are_changed_a_few_pictures_at_a_time_is_the_same(monkeypatch):
    batch, ask = pictures(), Augment(**ALL)
    whole = augment(batch, ask, draws(), SIZE, colours=torch.eye(3))
    monkeypatch.setattr(augment_file, "AT_ONCE", 1)
    assert torch.equal(augment(batch, ask, draws(), SIZE, colours=torch.eye(3)), whole)


@pytest.mark.parametrize("name", ["rotate", "saturation", "hue", "lighting"])
def test_each_changes_the_pictures_and_leaves_those_that_came_alone(name):
    batch = pictures()
    colours = principal_colours(batch)
    seen = augment(batch, Augment(**{name: 0.4}), draws(), SIZE, colours=colours)
    assert not torch.equal(seen, batch.float())
    assert torch.equal(batch, pictures())
    again = augment(batch, Augment(**{name: 0.4}), draws(epoch=1), SIZE, colours=colours)
    assert not torch.equal(seen, again)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["planes", "side by side"])
def test_crops_of_chosen_pictures_are_those_of_each_alone(layout: torch.memory_format) -> None:
    images = torch.randint(0, 256, (9, 3, 40, 30), dtype=torch.uint8).contiguous(memory_format=layout)
    chosen = torch.tensor([8, 0, 3, 3, 7, 1, 2, 5, 6, 4, 0, 8, 8])
    own = Draws(0, 1, chosen.numpy())
    drawn, which = boxes(0.3, own, (40, 30)), mirrored(own, alternate=False)
    assert 0 < which.sum() < len(which)
    one_by_one = [
        F.interpolate(images[place : place + 1, :, t : t + h, l : l + w], SIZE, mode="bilinear", antialias=True)
        for place, (t, l, h, w) in zip(chosen, drawn.tolist(), strict=True)
    ]
    expected = torch.cat([one.flip(3) if turned else one for one, turned in zip(one_by_one, which, strict=True)])
    seen = geometry.crop(images, drawn, SIZE, mirrored=which, chosen=chosen)
    assert torch.equal(seen, expected) and seen.is_contiguous(memory_format=layout)
    assert torch.equal(geometry.crop(geometry.taken(images, chosen), drawn, SIZE, mirrored=which), expected)


@pytest.mark.parametrize("ask", [Augment(flip=True), Augment(shift=1), Augment(zoom=0.5, flip=True)], ids=str)
def test_pictures_chosen_from_a_set_are_moved_as_they_are_alone(ask: Augment) -> None:
    images, chosen = pictures(20), torch.tensor([4, 19, 0, 4])
    own = Draws(0, 2, chosen.numpy())
    assert torch.equal(move(images, ask, own, SIZE, chosen=chosen), move(images[chosen], ask, own, SIZE))
