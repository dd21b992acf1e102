"""A window that slides over a map: what convolution and pooling share.

(C, H, W, N), P x Q windows of kh x kw, each `stride` further than the last. Pixel (u, v) of window (p, q) is pixel
(p stride + u, q stride + v) of the map. Seen the other way round, pixel (u, v) of **all** windows is one view of the
map, shifted by (u, v) and of every stride-th pixel: kh kw such views, and no loop over positions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convlens.scratch.layer import pair
from convlens.scratch.padding import Margins, Padding, check_padding, num_windows, pad, same_margin, unpad


class Windows:
    """Kernel, stride and padding of a layer."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int],
        padding: Padding,
        *,
        replicate: bool = False,
        fill: float = 0.0,
    ) -> None:
        self.kernel = pair("kernel_size", kernel_size)
        self.stride = pair("stride", stride)
        self.padding = check_padding(padding)
        self.replicate, self.fill = replicate, fill

    def margins(self, x: np.ndarray) -> Margins:
        if not isinstance(self.padding, str):
            return self.padding
        rows, columns = (same_margin(*one) for one in zip(x.shape[1:3], self.kernel, self.stride, strict=True))
        return rows, columns

    def padded(self, x: np.ndarray) -> np.ndarray:
        return pad(x, self.margins(x), replicate=self.replicate, fill=self.fill)

    def unpadded(self, delta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The delta of `padded(x)` -> that of x."""
        return unpad(delta, self.margins(x), replicate=self.replicate)

    def counts(self, padded: np.ndarray) -> tuple[int, int]:
        """(P, Q): how many windows there are down and across."""
        down, across = (num_windows(*one) for one in zip(padded.shape[1:3], self.kernel, self.stride, strict=True))
        return down, across

    def views(self, padded: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
        """u, v and the view (C, P, Q, N) of pixel (u, v) of all windows; row by row."""
        (down, across), (step_down, step_across) = self.counts(padded), self.stride
        for u in range(self.kernel[0]):
            rows = slice(u, u + step_down * (down - 1) + 1, step_down)
            for v in range(self.kernel[1]):
                yield u, v, padded[:, rows, v : v + step_across * (across - 1) + 1 : step_across]

    def columns(self, padded: np.ndarray) -> np.ndarray:
        """(C, H, W, N) -> (C, kh, kw, P, Q, N): every window laid out ("im2col"); pixels are repeated."""
        channels, _, _, pictures = padded.shape
        columns = np.empty((channels, *self.kernel, *self.counts(padded), pictures), padded.dtype)
        for u, v, view in self.views(padded):
            columns[:, u, v] = view
        return columns

    def lay_back(self, columns: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """(C, kh, kw, P, Q, N) -> (C, H, W, N): the transpose of `columns`; repeated pixels are added up."""
        padded = np.zeros(shape, columns.dtype)
        for u, v, view in self.views(padded):
            view += columns[:, u, v]
        return padded
