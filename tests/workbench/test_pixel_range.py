"""Numbers become pixels on the scale that training saw, and on no other."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from convlens.workbench.pixel_range import PixelRange

BYTES = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
SCALES = {"bytes": BYTES, "0..1": BYTES / 255, "-1..1": BYTES / 127.5 - 1}


@pytest.mark.parametrize(
    ("fitted", "given"), [("0..1", "bytes"), ("-1..1", "bytes"), ("bytes", "0..1"), ("bytes", "-1..1")]
)
def test_pictures_on_another_scale_are_refused(fitted: str, given: str) -> None:
    with pytest.raises(ValueError, match=r"X has numbers from .*, and this estimator was fitted on .*; scale X as for"):
        PixelRange.of(SCALES[fitted]).check(SCALES[given])


def test_pictures_that_are_mostly_black_are_refused_too() -> None:
    digits = BYTES * (np.random.default_rng(1).random(BYTES.shape) < 0.15)
    with pytest.raises(ValueError, match=r"fitted on 0 to 1: 1.% lie outside"):
        PixelRange.of(digits / 255).check(digits)


def test_pictures_without_the_lower_half_of_the_range_are_warned_about() -> None:
    with pytest.warns(UserWarning, match="from 0 to 1, and this estimator was fitted on -1 to 1: none is below 0"):
        PixelRange.of(SCALES["-1..1"]).check(SCALES["0..1"])


@pytest.mark.parametrize("scale", SCALES)
def test_the_same_scale_brighter_darker_or_with_outliers_is_left_alone(scale: str) -> None:
    range_ = PixelRange.of(SCALES[scale])
    span = float(range_.span)
    outlier = np.array(SCALES[scale], float)
    outlier[0, 0, 0] = 1e9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for same in (SCALES[scale], SCALES[scale][:1] * 0.9 + 0.1 * span, outlier, np.full((1, 16, 16), range_.low)):
            range_.check(same)


def test_one_absurd_row_flattens_no_feature() -> None:
    for rows in (20, 200, 999, 1000, 1001, 5000):
        table = np.random.default_rng(0).normal(size=(rows, 2))
        plain = PixelRange.of(table)
        table[3] = 1e30, -1e30
        assert (PixelRange.of(table).span < 2 * plain.span).all(), rows


def test_few_rows_and_rare_values_keep_their_range() -> None:
    rare = np.zeros((200, 1))
    rare[7] = 1
    assert PixelRange.of(rare).pixels(rare)[7] == 255
    assert PixelRange.of(np.array([[0.0], [10.0]])).span > 9


def test_rows_on_another_scale_are_refused() -> None:
    table = np.random.default_rng(0).normal(size=(100, 4))
    range_ = PixelRange.of(table)
    range_.check(np.vstack([table[:1], [[9.0, 0, 0, 0]]]))
    with pytest.raises(ValueError, match="scale X as for fit"):
        range_.check(table * 50 + 300)
