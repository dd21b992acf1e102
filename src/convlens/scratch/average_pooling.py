"""Average pooling. (C, H, W, N) -> (C, P, Q, N): of each window, the mean. Without a kernel size, of the whole map.

Forward.    y[c, p, q] = 1 / (kh kw)  sum over u, v of  x[c, s p + u, s q + v]

Backward. Each pixel of a window has the same share in its mean:

    dy[c, p, q] / dx[c, i, j] = 1 / (kh kw) where (i, j) is in window (p, q), else 0

* convolution -> pooling (the layer below is a convolution): its delta is the pooled delta upsampled and spread evenly,
  each value / (kh kw) over its whole window; for windows side by side, the Kronecker product of delta with a block of
  1 / (kh kw).

There is nothing to train. Margins are zeros, and count in the mean (torch's `count_include_pad`).
"""

from __future__ import annotations

import numpy as np

from convlens.scratch.layer import Layer
from convlens.scratch.padding import Padding
from convlens.scratch.windows import Windows


class AveragePooling(Layer):
    """The stride is the kernel's size unless it is given."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int] | None = None,
        *,
        stride: int | tuple[int, int] | None = None,
        padding: Padding = "valid",
    ) -> None:
        super().__init__()
        self.whole_map = kernel_size is None
        kernel = 1 if kernel_size is None else kernel_size
        self.windows = Windows(kernel, kernel if stride is None else stride, padding)
        self.output_shape: tuple[int, ...] | None = None

    def forward(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        self.check_maps(x)
        if self.whole_map:
            self.windows = Windows(x.shape[1:3], x.shape[1:3], "valid")
        self.x, padded = x, self.windows.padded(x)
        self.padded_shape = padded.shape
        (_, _, y), *others = self.windows.views(padded)
        y = y.copy()
        for _, _, view in others:
            y += view
        self.output_shape = y.shape
        y /= self._pixels()
        return y

    def backward(self, delta: np.ndarray) -> np.ndarray:
        self.check_delta(delta, self.output_shape)
        padded, share = np.zeros(self.padded_shape, delta.dtype), delta / self._pixels()
        for _, _, view in self.windows.views(padded):
            view += share
        return self.windows.unpadded(padded, self.x)

    def _pixels(self) -> int:
        return self.windows.kernel[0] * self.windows.kernel[1]
