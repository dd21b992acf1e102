"""Scores against hand-computed cases; no warning, whatever classes are missing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from convlens.errors import DataError, UsageError
from convlens.measurement import bootstrap_interval, score

ONE_HOT = torch.eye(3) * 10


def test_three_right_of_four_by_hand():
    scores = score(ONE_HOT[[0, 1, 1, 2]], torch.tensor([0, 1, 2, 2]), ("a", "b", "c"))
    assert scores.accuracy == 0.75
    assert scores.confusion == ((1, 0, 0), (0, 1, 0), (0, 1, 1))
    b = scores.per_class[1]
    assert (b.name, b.precision, b.recall, b.support) == ("b", 0.5, 1.0, 1)
    assert b.f1 == pytest.approx(2 / 3)
    right = np.log(1 + 2 * np.exp(-10))
    assert scores.loss == pytest.approx((3 * right + right + 10) / 4)
    assert scores.top5_accuracy is None


def test_the_interval_is_seeded_and_holds_the_accuracy():
    low, high = bootstrap_interval(90, 100, seed=1)
    assert (low, high) == bootstrap_interval(90, 100, seed=1)
    assert 0.82 <= low < 0.9 < high <= 0.97
    wide = bootstrap_interval(9, 10)
    assert wide[0] < low


def test_the_binomial_interval_is_that_of_resampled_pictures():
    correct = np.array([True] * 30 + [False] * 10)
    draws = np.random.default_rng(0).integers(0, 40, size=(20_000, 40))
    expected = np.quantile(correct[draws].mean(axis=1), [0.025, 0.975])
    np.testing.assert_allclose(bootstrap_interval(30, 40), expected, atol=0.026)


@pytest.mark.parametrize("num_classes", [2, 6, 1000])
def test_classes_without_pictures_give_zeros_and_no_warning(num_classes):
    logits = torch.randn(5, num_classes, generator=torch.Generator().manual_seed(0))
    scores = score(logits, np.zeros(5, dtype=np.int64), [str(k) for k in range(num_classes)])
    assert len(scores.per_class) == len(scores.confusion) == num_classes
    assert scores.per_class[-1].support == 0 and scores.per_class[-1].recall == 0.0
    assert (scores.top5_accuracy is None) == (num_classes == 2)


def test_one_picture_is_enough():
    scores = score(ONE_HOT[:1], [0], ("a", "b", "c"))
    assert (scores.num_pictures, scores.accuracy, scores.accuracy_low, scores.accuracy_high) == (1, 1.0, 0.025, 1.0)


def test_top5_counts_the_five_highest():
    logits = torch.arange(7.0).repeat(2, 1)
    assert score(logits, [2, 1], "abcdefg").top5_accuracy == 0.5


def test_calibration_error_by_hand():
    logits = torch.log(torch.tensor([[0.8, 0.2], [0.8, 0.2]], dtype=torch.float64))
    scores = score(logits, [0, 1], ("a", "b"))
    assert scores.expected_calibration_error == pytest.approx(0.3)
    full = [part for part in scores.calibration_bins if part.count]
    assert len(full) == 1 and full[0].confidence == pytest.approx(0.8) and full[0].accuracy == 0.5
    assert full[0].low < 0.8 <= full[0].high


def test_temperature_changes_loss_and_confidence_but_not_accuracy():
    logits = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * 5
    labels = torch.arange(50) % 4
    sharp, soft = score(logits, labels, "abcd"), score(logits, labels, "abcd", temperature=5.0)
    assert sharp.accuracy == soft.accuracy and sharp.confusion == soft.confusion
    assert soft.loss < sharp.loss and soft.temperature == 5.0


def test_the_dict_is_json():
    scores = score(ONE_HOT, [0, 1, 2], ("a", "b", "c"))
    assert json.loads(json.dumps(scores.to_dict(), allow_nan=False)) == scores.to_dict()


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.tensor([[0.0, float("nan")]]), [0], "1 of 1 rows of logits hold NaN.*smaller learning rate"),
        (torch.zeros(1, 2), [-1], "outside 0 to 1.*unlabelled"),
        (torch.zeros(1, 2), [2], "outside 0 to 1"),
        (torch.zeros(2, 2), [0], "expected \\(2,\\)"),
        (torch.zeros(2), [0], "expected \\(pictures, classes\\)"),
        (torch.zeros(0, 2), [], "no pictures"),
        (torch.zeros(1, 3), [0], "3 columns for 2 classes"),
    ],
)
def test_unusable_predictions_are_refused_with_the_remedy(logits, labels, message):
    with pytest.raises(DataError, match=message):
        score(logits, labels, ("a", "b"))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_must_be_positive(temperature):
    with pytest.raises(UsageError, match="positive"):
        score(ONE_HOT, [0, 1, 2], "abc", temperature=temperature)


@pytest.mark.parametrize("count", [1, 15, 179])
def test_no_mistake_is_no_certainty(count):
    """Clopper and Pearson: the lower bound is where so many right answers in a row have a chance of 2.5 %."""
    low, high = bootstrap_interval(count, count)
    assert high == 1 and low**count == pytest.approx(0.025)
    assert bootstrap_interval(0, count) == pytest.approx((0, 1 - low))


def test_five_guesses_have_an_interval_of_their_own():
    logits = np.eye(6)[[0, 1, 2, 3]] * 9.0
    logits[3, :] = [9, 8, 7, 6, 5, 0]  # the last class is the sixth guess
    scores = score(logits, [0, 1, 2, 5], [str(number) for number in range(6)])
    assert (scores.top5_accuracy, scores.accuracy) == (0.75, 0.75)
    assert (scores.top5_low, scores.top5_high) == bootstrap_interval(3, 4)
    assert scores.top5_low < 0.75 < scores.top5_high
