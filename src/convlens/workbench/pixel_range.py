"""Numbers of any range -> the 256 levels of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TAIL = 0.001  # share of the values at each end of a column that is clipped: one that is far out would flatten the rest


@dataclass(frozen=True)
class PixelRange:
    """`low` becomes 0 and `low + span` 255; what lies outside is clipped. One number each, or one for each column."""

    low: np.ndarray
    span: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> PixelRange:
        """(N, F) -> a range for each column; pictures -> one for all: 0 to 255 or 0 to 1 where they lie in these.

        ValueError for NaN and infinity, here and in `pixels`.
        """
        numbers = _finite(values)
        if numbers.ndim == 2:
            low, high = np.quantile(numbers, [TAIL, 1 - TAIL], axis=0)
        else:
            low, high = (np.array(end) for end in _usual(numbers, whole=values.dtype.kind in "biu"))
        return cls(low, np.where(high > low, high - low, 1.0))

    def pixels(self, values: np.ndarray) -> np.ndarray:
        """Numbers of the same shape but for N -> uint8."""
        scaled = (_finite(values) - self.low) * (255 / self.span)
        return np.rint(scaled.clip(0, 255)).astype(np.uint8)


def _finite(values: np.ndarray) -> np.ndarray:
    numbers = np.asarray(values, np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("X holds NaN or infinity; expected numbers")
    return numbers


def _usual(numbers: np.ndarray, *, whole: bool) -> tuple[float, float]:
    low, high = float(numbers.min()), float(numbers.max())
    if low >= 0 and high <= 255 and ((whole and high > 1) or high > 127):
        return 0.0, 255.0
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high
