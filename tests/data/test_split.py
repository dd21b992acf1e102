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


def test_a_validation_picture_that_is_trained_on_is_excluded_and_a_test_picture_stays():
    given = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    hashes = ["a", "b", "c", "d", "e", "f", "a", "h", "i", "b", "k", "l"]
    parts = divide(np.array([0, 1] * 6), hashes, given)
    assert parts.tolist() == [*given[:6], EXCLUDED, *given[7:]]


def test_where_every_validation_picture_is_trained_on_val_is_taken_from_train():
    labels, hashes = labels_and_hashes(num_classes=1)
    given = ["train"] * 90 + ["val"] * 10
    parts = divide(labels, [*hashes[:90], *hashes[:10]], given)
    assert set(parts[90:]) == {EXCLUDED}
    assert (parts[:90] == "val").sum() == 9


def test_many_copies_of_one_picture_are_trained_on_and_the_others_are_shared_out():
    labels, hashes = labels_and_hashes(num_classes=1)
    for seed in range(20):
        parts = divide(labels, ["copy"] * 90 + hashes[90:], seed=seed)
        assert set(parts[:90]) == {"train"}
        assert sorted(parts[90:]) == ["test"] * 5 + ["val"] * 5


@pytest.mark.parametrize("sizes", [[50, 30, *[1] * 120], [12] * 10, [40, 4, 3, 3], [90, 90, 20], [3] * 40])
def test_groups_of_copies_do_not_break_the_shares(sizes):
    hashes = [str(group) for group, size in enumerate(sizes) for _ in range(size)]
    labels = np.zeros(len(hashes), np.int64)
    smallest_share = 0.1 * len(hashes)
    for seed in range(20):
        parts = divide(labels, hashes, seed=seed)
        counts = {part: int((parts == part).sum()) for part in ("train", "val", "test")}
        assert all(counts.values())
        assert counts["train"] >= max(sizes)
        if min(sizes) == 1 or sizes == [3] * 40:
            assert counts["val"] == counts["test"] == round(smallest_share)


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.5, 0.5), (0, 0.5, 0.5), (0.9, -0.1, 0.2), (float("nan"), 0.5, 0.5), (0.5, float("nan"), 0.5)]
)
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


def test_groups_stay_together_and_shares_stay_near_what_was_asked():
    labels, hashes = labels_and_hashes()
    groups = [f"patient {index % 60}" for index in range(len(labels))]  # five pictures each, of all three classes
    parts = divide(labels, hashes, fractions=(0.6, 0.2, 0.2), groups=groups)
    for group in set(groups):
        assert len({part for part, of in zip(parts, groups, strict=True) if of == group}) == 1
    assert all(45 <= (parts == part).sum() <= 75 for part in ("val", "test"))
    assert not (parts == EXCLUDED).any()


def test_groups_are_joined_by_a_picture_that_two_of_them_hold_and_not_by_unreadable_ones():
    labels, hashes = labels_and_hashes()
    groups = [str(index // 10) for index in range(len(labels))]
    hashes[10] = hashes[5]
    for index in range(20, len(labels), 10):
        hashes[index] = None
    for seed in range(5):
        parts = divide(labels, hashes, seed=seed, groups=groups)
        assert len(set(parts[:20])) == 1
        assert {"train", "val", "test"} <= set(parts.tolist())  # were all one group, only train would be


def test_pictures_of_no_group_are_divided_one_by_one():
    labels, hashes = labels_and_hashes()
    groups = ["burst"] * 50 + [""] * 250
    parts = divide(labels, hashes, fractions=(0.7, 0.2, 0.1), groups=groups)
    assert len(set(parts[:50])) == 1
    assert (divide(labels, hashes, groups=[""] * 300) == divide(labels, hashes)).all()
    assert {part: int((parts[100:200] == part).sum()) for part in ("train", "val", "test")} == {
        "train": 70, "val": 20, "test": 10,
    }  # fmt: skip


def test_a_val_taken_from_the_train_of_the_source_keeps_groups_together():
    labels, hashes = labels_and_hashes()
    given = ["train"] * 240 + ["test"] * 60
    groups = [f"plant {index // 4}" for index in range(300)]
    parts = divide(labels, hashes, given, groups=groups)
    assert (parts[240:] == "test").all() and (parts[:240] == "val").any()
    assert all(len(set(parts[start : start + 4])) == 1 for start in range(0, 240, 4))


def test_a_group_counts_as_the_class_that_most_of_it_are():
    labels = np.array([0, 1, 1, 1] * 10 + [0] * 40)
    groups = [str(index // 4) for index in range(40)] + [""] * 40
    parts = divide(labels, [str(index) for index in range(80)], fractions=(0.5, 0.0, 0.5), groups=groups)
    assert (parts[:40] == "test").sum() == 20  # five of the ten groups, not a share of the zeros


def test_what_weights_knew_stays_and_new_pictures_are_divided():
    labels, hashes = labels_and_hashes()
    known = np.array((["train"] * 40 + ["val"] * 5 + ["test"] * 5 + [""] * 50) * 3)
    parts = divide(labels, hashes, seed=3, known=known)
    assert (parts[known != ""] == known[known != ""]).all()
    counts = {part: int((parts[known == ""] == part).sum()) for part in ("train", "val", "test")}
    assert counts == {"train": 120, "val": 15, "test": 15}


def test_what_stays_together_with_a_picture_that_was_trained_on_is_trained_on():
    labels, hashes = labels_and_hashes()
    groups = [str(index // 10) for index in range(300)]
    known = np.array(["test" if index % 10 == 1 else "" for index in range(300)])
    known[np.arange(0, 300, 20)] = "train"
    parts = divide(labels, hashes, groups=groups, known=known)
    assert all(set(parts[start : start + 10]) == {("train", "test")[start // 10 % 2]} for start in range(0, 300, 10))


def test_a_part_without_a_share_gets_nothing_that_it_had():
    labels, hashes = labels_and_hashes()
    known = np.array(["train", "test", "val"] * 100)
    parts = divide(labels, hashes, fractions=(0.9, 0.1, 0.0), known=known)
    assert (parts == np.where(known == "test", "train", known)).all()


def test_a_val_of_the_source_loses_what_weights_were_trained_on():
    labels, hashes = labels_and_hashes()
    given = ["train", "val", "test"] * 100
    known = np.array(["train"] * 150 + [""] * 150)
    parts = divide(labels, hashes, given, known=known)
    assert (parts[1:150:3] == EXCLUDED).all() and (parts[151::3] == "val").all()
    assert (parts[::3] == "train").all() and (parts[2::3] == "test").all()


def test_a_val_taken_from_train_is_that_of_the_weights_and_of_new_pictures():
    labels, hashes = labels_and_hashes()
    given = ["train"] * 240 + ["test"] * 60
    known = np.array((["train"] * 9 + ["val"]) * 20 + [""] * 100)
    parts = divide(labels, hashes, given, known=known)
    assert (parts[:200] == known[:200]).all()
    assert 1 <= (parts[200:240] == "val").sum() <= 8 and (parts[240:] == "test").all()


def test_only_what_was_trained_on_leaves_a_val_of_the_source():
    labels, hashes = labels_and_hashes()
    given = ["train", "val", "test"] * 100
    groups = [f"patient {index // 6}" for index in range(300)]
    known = np.array((["train"] + [""] * 5 + ["val"] * 6) * 25)
    hashes[4] = hashes[0]  # a val picture that is a copy of one that was trained on
    for fractions in ((0.8, 0.1, 0.1), (1.0, 0.0, 0.0)):
        parts = divide(labels, hashes, given, groups=groups, known=known, fractions=fractions)
        assert np.flatnonzero(parts[1::3] == EXCLUDED).tolist() == [1]
