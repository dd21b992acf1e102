"""The receptive field, kept exactly: for each unit along an axis, the first and the last pixel that it sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np

LONGEST_PERIOD = 128  # units; of five halvings and doublings it is 32


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


class UnitField(NamedTuple):
    """What one unit sees: the first and the last pixel along each axis; not `exact` where it may see less."""

    windows: tuple[tuple[int, int], ...]
    exact: bool


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

    def ends(self, unit: int) -> tuple[int, int]:
        """The first and the last pixel that it sees."""
        at = min(unit, len(self.low) - 1)
        return int(self.low[at]), int(self.high[at])

    def gather(
        self, first: np.ndarray, last: np.ndarray, scale: Fraction, along: tuple[int, int], *, coarsest: bool = True
    ) -> AxisField:
        """New units, of which unit o reads the present units first[o] to last[o]; those outside are padding.

        `along` is the (size, step) of the factor that is read anew, of the others each unit reads its own; `scale`
        multiplies the stride, which is that of the coarsest factor.
        """
        stride = self.stride * scale if coarsest else self.stride
        lows, highs = (_columns(ends, along) for ends in (self.low, self.high))
        if self.whole:
            ends = (_flat(np.repeat(each[:1], len(first), axis=0), along[1]) for each in (lows, highs))
            return replace(self, low=next(ends), high=next(ends), stride=stride)
        own = self.stride if coarsest else _stride_along(lows)
        low, high = _beyond(lows, first, own), _beyond(highs, last, own)
        for step in range(1, int((last - first).max(initial=0)) + 1):
            # After a reflection the outermost unit does not see farthest: ask each unit between as well.
            between = np.minimum(first + step, last)
            low = np.minimum(low, _beyond(lows, between, own))
            high = np.maximum(high, _beyond(highs, last - (between - first), own))
        return replace(self, low=_flat(low, along[1]), high=_flat(high, along[1]), stride=stride)

    def mixed_along(self, size: int, step: int, *, keep: bool) -> AxisField:
        """Along one factor every unit sees what any one saw; the others each their own."""
        low = _columns(self.low, (size, step)).min(axis=0, keepdims=True)
        high = _columns(self.high, (size, step)).max(axis=0, keepdims=True)
        extent = size if keep else 1
        low, high = (_flat(np.repeat(ends, extent, axis=0), step) for ends in (low, high))
        field = replace(self, low=low, high=high)
        if keep or size * step < len(self.low):
            return field
        return replace(field, stride=_stride_along(low[:, None]))  # its longest steps are gone

    def repeated(self, times: int, along: tuple[int, int], *, coarsest: bool) -> AxisField:
        """Every unit along a factor becomes so many that see the same."""
        low, high = (_flat(np.repeat(_columns(ends, along), times, axis=0), along[1]) for ends in (self.low, self.high))
        return replace(self, low=low, high=high, stride=self.stride / times if coarsest else self.stride)

    def mixed(self, extent: int = 1) -> AxisField:
        """Every unit sees what any one saw, cut to the picture."""
        low = max(int(self.low.min()), 0)
        high = min(int(self.high.max()), self.num_pixels - 1)
        return replace(self, low=np.full(extent, low), high=np.full(extent, high), whole=True)

    def followed_by(self, others: Sequence[AxisField]) -> AxisField:
        """The units of all, in a row."""
        fields = (self, *others)
        low, high = (np.concatenate([getattr(field, end) for field in fields]) for end in ("low", "high"))
        same = bool((low == low[0]).all() and (high == high[0]).all())
        exact = all(field.exact for field in fields)
        whole = all(field.whole for field in fields) and same
        stride = self.stride if same else _stride_along((low + high)[:, None]) / 2
        return replace(self, low=low, high=high, whole=whole, exact=exact, stride=stride)

    def union(self, other: AxisField) -> AxisField:
        """Both at the same unit; a field of one entry is met by every unit."""
        local = max((self, other), key=lambda field: len(field.low))
        one, two = (self._cut(), other._cut()) if self.whole or other.whole else (self, other)
        low, high = np.minimum(one.low, two.low), np.maximum(one.high, two.high)
        same = bool((low == low[0]).all() and (high == high[0]).all())
        whole = (self.whole or other.whole) and same
        return replace(local, low=low, high=high, whole=whole, exact=self.exact and other.exact)

    def same_as(self, other: AxisField) -> bool:
        return np.array_equal(self.low, other.low) and np.array_equal(self.high, other.high)

    def _cut(self) -> AxisField:
        """What lies in the picture."""
        last = self.num_pixels - 1
        return replace(self, low=self.low.clip(0, last), high=self.high.clip(0, last))


def _columns(ends: np.ndarray, along: tuple[int, int]) -> np.ndarray:
    """(units,) -> (units along the factor, all the others)."""
    size, step = along
    return np.moveaxis(ends.reshape(-1, size, step), 1, 0).reshape(size, -1)


def _flat(columns: np.ndarray, step: int) -> np.ndarray:
    """The way back: (units along the factor, all the others) -> (units,)."""
    return np.moveaxis(columns.reshape(len(columns), -1, step), 0, 1).reshape(-1)


def _stride_along(columns: np.ndarray) -> Fraction:
    steps = len(columns) - 1
    return Fraction(int(columns[-1, 0] - columns[0, 0]), steps) if steps else Fraction(1)


def _beyond(ends: np.ndarray, index: np.ndarray, stride: Fraction) -> np.ndarray:
    """Reads ends[index]; outside it goes on as inside, in whole periods of what is seen inside."""
    period, pixels = _period(ends, stride)
    over = np.maximum(index - (len(ends) - 1), 0)
    under = np.maximum(-index, 0)
    periods = -(-under // period) - (-(-over // period))
    return ends[np.clip(index + periods * period, 0, len(ends) - 1)] - (periods * pixels)[:, None]


def _period(ends: np.ndarray, stride: Fraction) -> tuple[int, int]:
    """After so many units the same is seen so many pixels on. After down- and upsampling a stride of 1 has 4 or 8."""
    least = stride.denominator
    for period in range(least, min(len(ends) // 2, LONGEST_PERIOD) + 1, least):
        pixels = int(period * stride)
        if (ends[period:] - ends[:-period] == pixels).all():
            return period, pixels
    return (least, stride.numerator) if len(ends) >= least else (1, round(stride))


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
