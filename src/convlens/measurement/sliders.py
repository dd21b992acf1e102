"""The corruptions as sliders: one picture changed by hand, in any ways at once, the same each time.

They are applied in the order of `SLIDERS`, as an eye would meet them: the scene is turned, scaled and moved, the lens
blurs it, the sensor is noisy, the file is compressed, and a square is laid over what is seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from convlens.errors import UsageError, check_number, unknown_name
from convlens.measurement.corruptions import CORRUPTIONS, rotated, shifted

WHOLE_QUALITY = 100.0  # of a JPEG that is not written


@dataclass(frozen=True)
class Slider:
    """From `least` to `most` in steps of `step`; at `usual` the picture stays as it is, to the last bit."""

    name: str
    title: str
    unit: str
    least: float
    most: float
    usual: float
    step: float
    change: Callable[[Tensor, float, int], Tensor]  # (N, C, H, W) uint8, the level, the seed


def _corrupted(name: str, pixels: Tensor, level: float, seed: int) -> Tensor:
    return CORRUPTIONS[name](pixels, level, seed=seed)


def _turned(pixels: Tensor, degrees: float, _: int) -> Tensor:
    return _as_bytes(rotated(pixels, torch.full((len(pixels),), -math.radians(degrees))))


def _moved(axis: int, pixels: Tensor, percent: float, _: int) -> Tensor:
    shares = torch.zeros(len(pixels), 2)
    shares[:, axis] = percent / 100
    return _as_bytes(shifted(pixels, shares))


def _as_bytes(values: Tensor) -> Tensor:
    return values.round().clamp(0, 255).to(torch.uint8)


def _range(name: str) -> tuple[float, float]:
    levels = CORRUPTIONS[name].levels
    return float(min(levels)), float(max(levels))


def _slider(name: str, title: str, unit: str, usual: float, step: float, *, most: float | None = None) -> Slider:
    least, largest = _range(name)
    return Slider(name, title, unit, least, most or largest, usual, step, partial(_corrupted, name))


TURN, MOVE = _range("rotation")[1], _range("shift")[1]

# fmt: off
SLIDERS = {
    one.name: one
    for one in (
        Slider("rotation",   "Turn",       "degrees, clockwise",        -TURN, TURN, 0, 1, _turned),
        _slider("scale",     "Scale",      "times as large",            1, 0.01),
        Slider("shift",      "Move right", "% of the width",            -MOVE, MOVE, 0, 1, partial(_moved, 0)),
        Slider("shift_down", "Move down",  "% of the height",           -MOVE, MOVE, 0, 1, partial(_moved, 1)),
        _slider("blur",      "Blur",       "deviation, % of the side",  0, 0.1),
        _slider("noise",     "Noise",      "deviation, levels of 255",  0, 1),
        _slider("jpeg",      "JPEG",       "quality",                   WHOLE_QUALITY, 1, most=WHOLE_QUALITY),
        _slider("occlusion", "Cover",      "% of the area",             0, 1),
    )
}
# fmt: on


def changed(pixels: Tensor, levels: Mapping[str, float], *, seed: int = 0) -> Tensor:
    """(N, C, H, W) uint8 -> the same shape and type; UsageError for a slider that is not there, or a level off it."""
    for name, level in levels.items():
        _check(name, level)
    for name, slider in SLIDERS.items():
        level = float(levels.get(name, slider.usual))
        if level != slider.usual:
            pixels = slider.change(pixels, level, seed)
    return pixels


def _check(name: str, level: float) -> None:
    if name not in SLIDERS:
        raise unknown_name("change", name, SLIDERS, f"they are {', '.join(SLIDERS)}")
    slider, value = SLIDERS[name], check_number(name, level)
    if not slider.least <= value <= slider.most:
        raise UsageError(f"{name} came as {value:g}; expected {slider.least:g} to {slider.most:g} {slider.unit}")
