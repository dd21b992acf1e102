"""Accuracy against how much pictures are turned, moved, blurred, covered: what a network is and is not invariant to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from convlens.measurement.corruptions import CORRUPTIONS, corruption
from convlens.measurement.predictions import bootstrap_interval

CHUNK = 128  # pictures changed at a time, which bounds the memory
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class RobustnessPoint:
    """Shares 0 to 1; `low` and `high` bound the accuracy with 95 % confidence."""

    level: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class RobustnessCurve:
    """`points` by rising level; `unit` is what levels count."""

    corruption: str
    unit: str
    num_pictures: int
    points: tuple[RobustnessPoint, ...]


def robustness(
    logits_of: Callable[[Tensor], Tensor],
    pixels: Tensor,
    labels: Tensor,
    *,
    names: Sequence[str] = tuple(CORRUPTIONS),
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[RobustnessCurve, ...]:
    """Pictures (N, C, H, W) uint8, as the network sees them, and labels (N,) -> a curve for each of `names`.

    `logits_of` answers pixels with (N, K).
    """
    asked = [corruption(name) for name in names]
    steps, done = sum(len(one.levels) for one in asked), 0
    curves = []
    for one in asked:
        points = []
        for level in sorted(one.levels):
            right = 0
            for number, (part, truth) in enumerate(zip(pixels.split(CHUNK), labels.split(CHUNK), strict=True)):
                right += int((logits_of(one(part, level, seed=seed + number)).argmax(1) == truth).sum())
            points.append(RobustnessPoint(level, right / len(labels), *bootstrap_interval(right, len(labels))))
            done += 1
            if progress:
                progress("corrupt", done, steps, one.name)
        curves.append(RobustnessCurve(one.name, one.unit, len(labels), tuple(points)))
    return tuple(curves)
