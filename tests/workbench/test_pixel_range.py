"""Numbers become pixels on the scale that training saw, and on no other."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits

from convlens.workbench.pixel_range import PixelRange

DIGITS = load_digits().images  # 0 to 16
BYTES = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
SCALES = {"bytes": BYTES, "0..1": BYTES / 255, "-1..1": BYTES / 127.5 - 1, "-0.5..1": BYTES / 170 - 0.5}
LEVELS = {  # of dark pictures
    "0..16": DIGITS,
    "0..1": DIGITS / 16,
    "-1..1": DIGITS / 8 - 1,
    "bytes": np.rint(DIGITS * 255 / 16).astype(np.uint8),
    "16 bits": (DIGITS * 4095).astype(np.uint16),
    "bool": DIGITS > 8,
    "0 and 1": (DIGITS > 8).astype(int),
    "1000 to 1500": 1000 + DIGITS * 500 / 16,
    "standardised": (DIGITS - DIGITS.mean()) / DIGITS.std(),
}
REFUSED = r"X has numbers from .*, and this estimator was fitted on .*; scale X as for fit"


@pytest.mark.parametrize(
    ("fitted", "given"),
    [("0..1", "bytes"), ("-1..1", "bytes"), ("bytes", "0..1"), ("bytes", "-1..1"), ("0..1", "-0.5..1")],
)
def test_pictures_on_another_scale_are_refused(fitted: str, given: str) -> None:
    with pytest.raises(ValueError, match=REFUSED):
        PixelRange.of(SCALES[fitted]).check(SCALES[given])


@pytest.mark.parametrize(
    ("fitted", "given"),
    [
        ("0..16", "0..1"),
        ("0..16", "standardised"),
        ("0..1", "-1..1"),
        ("0..1", "0..16"),
        ("bytes", "0..16"),
        ("bytes", "bool"),
        ("bytes", "0 and 1"),
        ("bytes", "-1..1"),
        ("16 bits", "bytes"),
        ("1000 to 1500", "0..16"),
    ],
)
def test_dark_pictures_on_another_scale_are_refused(fitted: str, given: str) -> None:
    range_ = PixelRange.of(LEVELS[fitted][:600])
    few = LEVELS[given][600:900]
    with pytest.raises(ValueError, match=REFUSED):
        range_.check(few)
    one_may_be_dark = few.dtype.kind in "iu" and few[:1].max() > 1 and few.min() >= 0
    with pytest.warns(UserWarning, match="near 0") if one_may_be_dark else pytest.raises(ValueError, match=REFUSED):
        range_.check(few[:1])


@pytest.mark.parametrize("number", [0, 600])
def test_a_dark_picture_is_none_on_another_scale_among_others_or_where_such_were_seen(number: int) -> None:
    dark, seen = (BYTES[:1] // 20), LEVELS["bytes"][:number]
    range_ = PixelRange.of(np.concatenate([seen, np.full((1, 8, 8), 255), dark[:, :8, :8, 0]]))
    range_.check(np.concatenate([dark[:, :8, :8, 0], LEVELS["bytes"][:3]]))
    range_.check(dark[:, :8, :8, 0])
    range_.check(np.zeros((3, 8, 8)))
    if number:  # one in 600 is rare
        with pytest.raises(ValueError, match="all are near 0"):
            range_.check(dark[..., 0].reshape(4, 8, 8))


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
    range_.check(np.vstack([table, [[50.0, 60, 70, 80]]]))
    with pytest.raises(ValueError, match="scale X as for fit"):
        range_.check(table * 50 + 300)


@pytest.mark.parametrize(
    ("fitted", "given"), [("0..16", "0..1"), ("0..1", "0..16"), ("0..16", "standardised"), ("0..1", "bytes")]
)
def test_rows_of_many_zeros_on_another_scale_are_refused(fitted: str, given: str) -> None:
    rows = {scale: pictures.reshape(-1, 64) for scale, pictures in LEVELS.items()}
    range_ = PixelRange.of(rows[fitted][:600])
    for number in range(600, 1700, 100):
        range_.check(rows[fitted][number : number + 100])
        range_.check(rows[fitted][number : number + 2])
    with pytest.raises(ValueError, match=REFUSED):
        range_.check(rows[given][1000:1300])


def test_a_single_odd_row_is_warned_about() -> None:
    with pytest.warns(UserWarning, match="from 50 to 60, .*: 100% lie outside; scale X as for fit"):
        PixelRange.of(np.random.default_rng(0).normal(size=(100, 2))).check(np.array([[50.0, 60.0]]))
