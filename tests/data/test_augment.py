"""Augmentation of whole batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convlens.data.augment import Augment, Draws, augment
from convlens.errors import UsageError

SIZE = (12, 10)


def pictures(count=16, height=12, width=10):
    return torch.randint(
        0, 256, (count, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def draws(count=16, epoch=0):
    return Draws(0, epoch, np.arange(count))


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


@pytest.mark.parametrize("wrong", [{"zoom": 0}, {"zoom": 1.5}, {"shift": -1}, {"brightness": -0.1}])
def test_impossible_augmentations_are_refused(wrong):
    with pytest.raises(UsageError):
        Augment(**wrong)
