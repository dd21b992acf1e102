"""Learning rate and picture size as functions of progress, and progress of the step through every plan made."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

GROWN = 0.65  # share of a schedule from which pictures have their full size
SIZES = 8  # steps of an eighth of a side: each size is a set of kernels to compile
WARM_UP = 0.2  # share of a one-cycle schedule in which the rate rises (Smith and Topin 2017)


@dataclass(frozen=True)
class Segment:
    """From `step`, where `progress` (0 to 1) had been reached, the schedule now runs to `total_steps`."""

    step: int
    progress: float
    total_steps: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def progress_at(step: int, segments: tuple[Segment, ...]) -> float:
    """Continuous and rising through every re-planning, 1 at the last step."""
    now = next(segment for segment in reversed(segments) if segment.step <= step)
    left = max(1, now.total_steps - now.step)
    return min(1.0, now.progress + (1 - now.progress) * (step - now.step) / left)


def rate_factor(schedule: str, progress: float) -> float:
    """Share of the peak learning rate at a progress of 0 to 1; all end at 0."""
    if schedule == "one_cycle":
        if progress < WARM_UP:
            return 0.04 + 0.96 * progress / WARM_UP  # starts at 1/25, as the paper's experiments do
        progress = (progress - WARM_UP) / (1 - WARM_UP)
    if schedule == "linear":
        return 1 - progress
    return 0.5 * (1 + math.cos(math.pi * progress))  # Loshchilov and Hutter 2016


def size_at(size: tuple[int, int], start: float, progress: float) -> tuple[int, int]:
    """Height and width in pixels: `start` of the full ones at first, growing evenly (progressive resizing), by eighths.

    Howard 2018, https://www.fast.ai/posts/2018-04-30-dawnbench-fastai.html: early epochs on small pictures are cheap.
    """
    share = start + (1 - start) * min(1.0, progress / GROWN)
    eighths = max(1, math.floor(share * SIZES + 1e-9))
    height, width = (max(1, side * eighths // SIZES) for side in size)
    return height, width


def sizes_of(size: tuple[int, int], start: float) -> list[tuple[int, int]]:
    """Every size that pictures have from the first step to the last."""
    return sorted({size_at(size, start, progress / 100) for progress in range(101)})
