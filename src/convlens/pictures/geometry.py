"""Where the network looks: which box of the picture lands on which box of the model input.

Boxes are (top, left, bottom, right). Pixel i covers i to i + 1, so boxes of the picture may end between pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Size = tuple[int, int]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Geometry:
    """`box` of the picture (height, width) is resized onto `target` of the model input `size`."""

    picture: Size
    size: Size
    box: Box
    target: tuple[int, int, int, int]

    @property
    def target_size(self) -> Size:
        top, left, bottom, right = self.target
        return bottom - top, right - left

    @property
    def whole_pixels(self) -> tuple[slice, slice] | None:
        """Rows and columns of the picture that fill the model input as they are; None where anything is resized."""
        top, left, bottom, right = (round(edge) for edge in self.box)
        if (top, left, bottom, right) != self.box or (bottom - top, right - left) != self.size:
            return None
        return slice(top, bottom), slice(left, right)

    @property
    def reduction(self) -> float:
        """Pixels of the picture for each of the target, along the axis where they are more."""
        top, left, bottom, right = self.box
        height, width = self.target_size
        return max((bottom - top) / height, (right - left) / width)

    def place(self, heat: np.ndarray) -> np.ndarray:
        """(h, w) over the model input -> (H, W) over the picture, linear between pixels, zeros outside the box."""
        top, left, bottom, right = self.target
        seen = heat[top:bottom, left:right].astype(np.float64)
        rows = _interpolation(self.picture[0], self.box[0], self.box[2], seen.shape[0])
        columns = _interpolation(self.picture[1], self.box[1], self.box[3], seen.shape[1])
        return (rows @ seen @ columns.T).astype(np.float32)


def crop_geometry(picture: Size, size: Size, crop_ratio: float) -> Geometry:
    """Resize until the picture just covers size / crop_ratio, keep the centre."""
    covered = [round(side / crop_ratio) for side in size]
    scale = max(cover / side for cover, side in zip(covered, picture, strict=True))
    resized = [max(cover, round(side * scale)) for cover, side in zip(covered, picture, strict=True)]
    starts = [(whole - kept) // 2 for whole, kept in zip(resized, size, strict=True)]
    top, left = (start * side / whole for start, side, whole in zip(starts, picture, resized, strict=True))
    height, width = (kept * side / whole for kept, side, whole in zip(size, picture, resized, strict=True))
    box = (top, left, min(top + height, picture[0]), min(left + width, picture[1]))
    return Geometry(picture, size, box, (0, 0, *size))


def letterbox_geometry(picture: Size, size: Size) -> Geometry:
    """The whole picture, its shape kept, in the middle of the input."""
    scale = min(room / side for room, side in zip(size, picture, strict=True))
    height, width = (min(room, max(1, round(side * scale))) for room, side in zip(size, picture, strict=True))
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return Geometry(picture, size, (0.0, 0.0, *picture), (top, left, top + height, left + width))


def resize_geometry(picture: Size, size: Size) -> Geometry:
    """The whole picture onto the whole input; its shape is not kept."""
    return Geometry(picture, size, (0.0, 0.0, *picture), (0, 0, *size))


def _interpolation(num_out: int, start: float, stop: float, num_in: int) -> np.ndarray:
    """(num_out, num_in) weights: output pixel i, centred on i + 1/2, mixes the inputs that lie under it.

    The inputs divide start..stop evenly. The mix is a triangle as wide as the coarser of the two grids, as in an
    antialiased bilinear resize. A row whose centre is outside start..stop is zero.
    """
    step = (stop - start) / num_in  # output pixels per input
    centres = np.arange(num_out) + 0.5
    positions = (centres - start) / step - 0.5
    inside = (centres >= start) & (centres <= stop)
    nearest = positions.clip(0, num_in - 1)  # the edge is repeated, not faded
    weights = np.maximum(0, 1 - np.abs(nearest[:, None] - np.arange(num_in)) / max(1.0, 1 / step))
    return np.where(inside[:, None], weights / weights.sum(axis=1, keepdims=True), 0.0)
