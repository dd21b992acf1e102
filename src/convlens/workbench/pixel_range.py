"""Numbers of any range -> the 256 levels of a picture."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np

FAR = 20  # times the range of all other values: so far from them is the one that is clipped, of few rows
MOST, SOME = 0.5, 0.05  # shares of values outside, and outside by more than the span, that are another scale
SMALL = 0.1  # of the largest number of `fit`: where nothing is larger, all is black
ENOUGH, RARE = 16, 0.01  # values, and the share of pictures of `fit` so small, that make this another scale
OFTEN = 0.2  # of the rows: a column with more beyond its range is on another scale
SLIGHT = 0.01  # of the span: so far below 0 a filter leads what is not negative
TAIL = 0.001  # share of the values at each end of a column that is clipped: one that is far out would flatten the rest


@dataclass(frozen=True)
class PixelRange:
    """`low` becomes 0 and `low + span` 255; what lies outside is clipped. One number each, or one for each column."""

    low: np.ndarray
    span: np.ndarray
    dark: float = math.inf  # pictures or rows of `fit` that are small throughout; infinite where they are not rare

    @classmethod
    def of(cls, values: np.ndarray) -> PixelRange:
        """(N, F) -> a range for each column; pictures -> one for all: 0 to 255 or 0 to 1 where they lie in these.

        ValueError for NaN and infinity, here and in `pixels`.
        """
        numbers = _finite(values)
        if numbers.ndim == 2:
            low, high = _ends(numbers)
        else:
            low, high = (np.array(end) for end in _usual(numbers, whole=values.dtype.kind in "biu"))
        range_ = cls(low, np.where(high > low, high - low, 1.0))
        dark = int((range_._small(numbers) & (np.ptp(numbers.reshape(len(numbers), -1), axis=1) > 0)).sum())
        return replace(range_, dark=dark if dark < RARE * len(numbers) else math.inf)

    def check(self, values: np.ndarray) -> None:
        """ValueError for numbers that are on another scale; a warning for pictures, or a single row, that seem to be.

        Small throughout are many numbers, or more pictures than `fit` had; one row may well be odd, one picture dark.
        """
        numbers = _finite(values)
        low, high = float(numbers.min()), float(numbers.max())
        known = f"{self.low.min():g} to {(self.low + self.span).max():g}"
        said = f"X has numbers from {low:g} to {high:g}, and this estimator was fitted on {known}"
        wrong, pictures = self._outside(numbers), self.low.ndim == 0
        one_may = not pictures and len(numbers) == 1
        if not wrong and low < high and numbers.size >= ENOUGH and len(numbers) > self.dark:
            wrong = "all are near 0" if self._small(numbers).all() else ""
            one_may = len(numbers) == 1 and (not pictures or (values.dtype.kind in "iu" and high > 1))  # a dark one
        if wrong and not one_may:
            raise ValueError(f"{said}: {wrong}; scale X as for fit")
        if pictures and self.low < 0 <= low <= SOME * high:
            wrong = "none is below 0"
        if wrong:
            warnings.warn(f"{said}: {wrong}; scale X as for fit", stacklevel=4)

    def _outside(self, numbers: np.ndarray) -> str:
        """What is wrong with numbers that are too often, or too far, outside; "" where nothing is."""
        outside = np.maximum(self.low - numbers, numbers - self.low - self.span)
        far, below = outside > self.span, (self.low >= 0) & (numbers < -SLIGHT * self.span)
        if self.low.ndim == 0:
            wrong = (outside > 0).mean() > MOST or far.mean() > SOME or below.mean() > SOME
        else:
            varied = np.ptp(numbers, axis=0) > 0
            often = (far | below).sum(axis=0)[varied] > max(1, OFTEN * len(numbers))
            wrong = far.mean() > MOST or (varied.any() and often.mean() > MOST)
        return f"{(outside > 0).mean():.0%} lie outside" if wrong else ""

    def _small(self, numbers: np.ndarray) -> np.ndarray:
        """(N, ...) -> (N,): whether all numbers, or nearly all of a row, are within a tenth of the range's largest."""
        near = abs(numbers) <= SMALL * np.maximum(abs(self.low), abs(self.low + self.span))
        small: np.ndarray = near.reshape(len(numbers), -1).mean(axis=1) >= (1 if self.low.ndim == 0 else 1 - SOME)
        return small

    def pixels(self, values: np.ndarray) -> np.ndarray:
        """Numbers of the same shape but for N -> uint8."""
        scaled = (_finite(values) - self.low) * (255 / self.span)
        return np.rint(scaled.clip(0, 255)).astype(np.uint8)


def _finite(values: np.ndarray) -> np.ndarray:
    numbers = np.asarray(values, np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("X holds NaN or infinity; expected numbers")
    return numbers


def _ends(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of each column without its tails; of few rows, without what is absurdly far from all others.

    Below 1 / TAIL rows a tail is less than one value, and the quantile would lie between this value and the next.
    """
    low, high = np.quantile(numbers, [TAIL, 1 - TAIL], axis=0)
    if not 2 < len(numbers) <= 1 / TAIL:
        return low, high
    inner_low, inner_high = np.sort(numbers, axis=0)[[1, -2]]
    reach = FAR * (inner_high - inner_low)
    low = np.where((reach > 0) & (low < inner_low - reach), inner_low, low)
    return low, np.where((reach > 0) & (high > inner_high + reach), inner_high, high)


def _usual(numbers: np.ndarray, *, whole: bool) -> tuple[float, float]:
    low, high = float(numbers.min()), float(numbers.max())
    if low >= 0 and high <= 255 and ((whole and high > 1) or high > 127):
        return 0.0, 255.0
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high
