"""Dividing pictures into parts."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.data import EXCLUDED, divide
from convlens.errors import DataError, UsageError


def labels_and_hashes(per_class=100, num_classes=3):
    labels = np.repeat(np.arange(num_classes), per_class)
    return labels, [f"{i:032x}" for i in range(len(labels))]


def test_every_class_is_divided_in_the_given_shares():
    labels, hashes = labels_and_hashes()
    parts = divide(labels, hashes, fractions=(0.7, 0.2, 0.1))
    for label in range(3):
        counts = {part: int(((parts == part) & (labels == label)).sum()) for part in ("train", "val", "test")}
        assert counts == {"train": 70, "val": 20, "test": 10}


def test_the_same_seed_divides_alike_and_another_does_not():
    labels, hashes = labels_and_hashes()
    assert (divide(labels, hashes, seed=1) == divide(labels, hashes, seed=1)).all()
    assert (divide(labels, hashes, seed=1) != divide(labels, hashes, seed=2)).any()


def test_equal_pictures_stay_together():
    labels, hashes = labels_and_hashes()
    hashes = [h if i % 5 else hashes[i - i % 25] for i, h in enumerate(hashes)]
    parts = divide(labels, hashes)
    for content in set(hashes):
        assert len({part for part, h in zip(parts, hashes, strict=True) if h == content}) == 1


def test_unreadable_and_unlabelled_pictures_are_excluded():
    labels, hashes = labels_and_hashes()
    labels[0], hashes[1] = -1, None
    parts = divide(labels, hashes)
    assert list(parts[:2]) == [EXCLUDED, EXCLUDED]
    assert (parts[2:] != EXCLUDED).all()


def test_a_class_of_three_is_seen_in_every_part():
    labels = np.array([0] * 50 + [1] * 3)
    parts = divide(labels, [str(i) for i in range(53)])
    assert set(parts[50:]) == {"train", "val", "test"}


def test_a_class_of_one_is_trained_on():
    labels = np.array([0] * 50 + [1])
    assert divide(labels, [str(i) for i in range(51)])[50] == "train"


def test_the_division_of_the_source_is_kept_and_val_is_taken_from_its_train():
    labels, hashes = labels_and_hashes()
    given = ["train", "test"] * 150
    parts = divide(labels, hashes, given)
    assert all(part == "test" for part, was in zip(parts, given, strict=True) if was == "test")
    assert (parts == "val").sum() == 15
    assert all(was == "train" for part, was in zip(parts, given, strict=True) if part == "val")


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (0, 0.5, 0.5), (0.9, -0.1, 0.2)])
def test_shares_that_are_no_shares_are_refused(fractions):
    labels, hashes = labels_and_hashes()
    with pytest.raises(UsageError, match="sum to 1"):
        divide(labels, hashes, fractions=fractions)


def test_nothing_readable_is_an_error():
    with pytest.raises(DataError, match="none of the pictures can be read"):
        divide(np.zeros(3, np.int64), [None, None, None])


def test_a_source_without_a_training_part_is_an_error():
    labels, hashes = labels_and_hashes(per_class=2)
    with pytest.raises(DataError, match="no training part"):
        divide(labels, hashes, ["test"] * 6)
