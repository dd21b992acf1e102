"""Margins around a map: how wide they are, what is in them, and where their deltas go.

(C, H, W, N) -> (C, top + H + bottom, left + W + right, N).

Zeros are constants: nothing flows back from them, and the delta of x is the middle of that of the padded map.
Replicated margins are copies of the edge: whatever a copy is blamed for, the pixel that it was copied from is blamed
for, so the deltas of all copies are added to it. Rows go first; the corners, copied twice, then find their way alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convlens.errors import UsageError, check_count
from convlens.scratch.layer import pair

Margins = tuple[tuple[int, int], tuple[int, int]]  # ((top, bottom), (left, right))
Padding = str | int | tuple[Any, ...]  # "valid", "same", p, (vertical, horizontal), or Margins


def check_padding(padding: Padding) -> str | Margins:
    """ "valid" and "same" as they are, numbers as margins; UsageError for anything else."""
    if isinstance(padding, str):
        if padding not in ("valid", "same"):
            raise UsageError(f"padding is '{padding}', expected 'valid', 'same' or numbers of pixels")
        return padding if padding == "same" else ((0, 0), (0, 0))
    if isinstance(padding, tuple | list) and len(padding) == 2 and all(isinstance(p, tuple | list) for p in padding):
        (top, bottom), (left, right) = (pair("padding", side, 0) for side in padding)
        return (top, bottom), (left, right)
    vertical, horizontal = pair("padding", padding, 0)
    return (vertical, vertical), (horizontal, horizontal)


def same_margin(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """The margin with which an axis of `size` gives ceil(size / stride) windows; an odd pixel goes behind."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pad(x: np.ndarray, margins: Margins, *, replicate: bool = False, fill: float = 0.0) -> np.ndarray:
    """(C, H, W, N) with margins of `fill`, or of copies of the edge; x itself where there are none."""
    if margins == ((0, 0), (0, 0)):
        return x
    if replicate:
        return np.pad(x, ((0, 0), *margins, (0, 0)), mode="edge")
    (top, bottom), (left, right) = margins
    channels, height, width, pictures = x.shape
    padded = np.full((channels, top + height + bottom, left + width + right, pictures), fill, x.dtype)
    padded[:, top : top + height, left : left + width] = x
    return padded


def unpad(delta: np.ndarray, margins: Margins, *, replicate: bool = False) -> np.ndarray:
    """The delta of the padded map -> that of the map."""
    if margins == ((0, 0), (0, 0)):
        return delta
    for axis, (before, after) in enumerate(margins, start=1):
        delta = np.moveaxis(delta, axis, 0)
        inner = delta[before : len(delta) - after]
        if replicate:
            inner = inner.copy()
            inner[0] += delta[:before].sum(0)
            inner[-1] += delta[len(delta) - after :].sum(0)
        delta = np.moveaxis(inner, 0, axis)
    return delta


def num_windows(size: int, kernel: int, stride: int) -> int:
    """floor((size - kernel) / stride) + 1; UsageError where not one window fits."""
    if kernel > size:
        raise UsageError(f"a window of {kernel} does not fit into {size} pixels (margins included); use padding")
    return (size - kernel) // check_count("stride", stride) + 1
