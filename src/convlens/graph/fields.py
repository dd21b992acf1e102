"""The receptive field, kept exactly: for each unit along an axis, the first and the last pixel that it sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class ReceptiveField:
    """What the units of a feature map see of the picture, one entry an axis (height, width).

    `size`: pixels from the first to the last seen, the largest over the units, padding included as papers count it.
    `stride`: pixels from one unit's field to the next one's. `start`: the centre of the first unit's field, where the
    first pixel's centre is 0.0; negative means that it begins in the padding. `whole`: every unit sees the same, the
    whole picture (after global pooling, a linear layer on all positions, a squeeze-and-excitation gate, group norm).
    `exact` is False where an operation without a rule was taken to see everything: then it is at most this.
    """

    size: tuple[int, ...]
    stride: tuple[float, ...]
    start: tuple[float, ...]
    whole: tuple[bool, ...]
    low: tuple[tuple[int, ...], ...]
    high: tuple[tuple[int, ...], ...]
    exact: bool = True

    def window(self, *position: int) -> tuple[tuple[int, int], ...]:
        """(row, column) of a unit -> ((top, bottom), (left, right)), last pixels included, padding not cut off."""
        return tuple(
            (low[min(at, len(low) - 1)], high[min(at, len(high) - 1)])
            for low, high, at in zip(self.low, self.high, position, strict=True)
        )


@dataclass(frozen=True)
class AxisField:
    """Along one axis: unit i sees the pixels low[i] to high[i]; one entry if the position does not matter."""

    low: np.ndarray
    high: np.ndarray
    stride: Fraction
    num_pixels: int
    whole: bool = False
    exact: bool = True

    @staticmethod
    def of_picture(num_pixels: int) -> AxisField:
        pixels = np.arange(num_pixels)
        return AxisField(pixels, pixels, Fraction(1), num_pixels)

    def gather(self, first: np.ndarray, last: np.ndarray, stride: Fraction) -> AxisField:
        """New units, of which unit o reads the present units first[o] to last[o]; those outside are padding."""
        if self.whole:
            ends = (np.repeat(self.low[:1], len(first)), np.repeat(self.high[:1], len(first)))
            return replace(self, low=ends[0], high=ends[1], stride=stride)
        low, high = self._beyond(self.low, first), self._beyond(self.high, last)
        for step in range(1, int((last - first).max(initial=0)) + 1):
            # After a reflection the outermost unit does not see farthest: ask each unit between as well.
            between = np.minimum(first + step, last)
            low = np.minimum(low, self._beyond(self.low, between))
            high = np.maximum(high, self._beyond(self.high, last - (between - first)))
        return replace(self, low=low, high=high, stride=stride)

    def _beyond(self, ends: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Reads ends[index]; outside it goes on as inside, in whole periods where the stride is a fraction."""
        period, pixels = self.stride.denominator, self.stride.numerator
        if len(ends) < period:
            period, pixels = 1, round(self.stride)
        over = np.maximum(index - (len(ends) - 1), 0)
        under = np.maximum(-index, 0)
        periods = -(-under // period) - (-(-over // period))
        return ends[np.clip(index + periods * period, 0, len(ends) - 1)] - periods * pixels

    def mixed(self, extent: int = 1) -> AxisField:
        """Every unit sees what any one saw, cut to the picture."""
        low = max(int(self.low.min()), 0)
        high = min(int(self.high.max()), self.num_pixels - 1)
        return replace(self, low=np.full(extent, low), high=np.full(extent, high), whole=True)

    def union(self, other: AxisField) -> AxisField:
        """Both at the same unit; a field of one entry is met by every unit."""
        if self.whole or other.whole:
            extent = max(len(self.low), len(other.low))
            one, two = self.mixed(extent), other.mixed(extent)
            local = max((self, other), key=lambda field: len(field.low))
            low, high = np.minimum(one.low, two.low), np.maximum(one.high, two.high)
            return AxisField(low, high, local.stride, self.num_pixels, True, self.exact and other.exact)
        local = max((self, other), key=lambda field: len(field.low))
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return replace(local, low=low, high=high, exact=self.exact and other.exact)


def summary(axes: tuple[AxisField, ...]) -> ReceptiveField:
    """The exact fields -> the few numbers that papers print."""
    return ReceptiveField(
        size=tuple(int((axis.high - axis.low).max()) + 1 for axis in axes),
        stride=tuple(float(axis.stride) for axis in axes),
        start=tuple(float(axis.low[0] + axis.high[0]) / 2 for axis in axes),
        whole=tuple(axis.whole for axis in axes),
        low=tuple(tuple(axis.low.tolist()) for axis in axes),
        high=tuple(tuple(axis.high.tolist()) for axis in axes),
        exact=all(axis.exact for axis in axes),
    )
