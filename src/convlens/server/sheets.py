"""Many small tiles in one PNG."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlens.server.drawn import png_address

MOST_COLUMNS = 8


def sheet(tiles: np.ndarray, columns: int | None = None) -> dict[str, Any]:
    """uint8 (N, h, w) or (N, h, w, 3) -> the sheet, row by row without gaps; what is left of the last row is black."""
    count, height, width = tiles.shape[:3]
    columns = columns or columns_for(count)
    rows = -(-count // columns)
    blank = np.zeros((rows * columns - count, *tiles.shape[1:]), np.uint8)
    grid = np.concatenate([tiles, blank]).reshape(rows, columns, height, width, *tiles.shape[3:])
    joined = grid.swapaxes(1, 2).reshape(rows * height, columns * width, *tiles.shape[3:])
    return {"sheet": png_address(joined), "columns": columns, "tile": [height, width]}


def columns_for(count: int) -> int:
    """A few stand in one row, many in a block that is a little wider than high."""
    return count if count <= MOST_COLUMNS else max(MOST_COLUMNS, round((1.6 * count) ** 0.5))


def greys(maps: np.ndarray) -> np.ndarray:
    """float (N, h, w) -> uint8, each from its least to its most; black where all is the same or no number."""
    least = maps.min((1, 2), keepdims=True)
    spread = maps.max((1, 2), keepdims=True) - least
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = 255 * (maps - least) / np.where(spread > 0, spread, 1)
    return np.rint(np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0)).astype(np.uint8)
