"""Max pooling. (C, H, W, N) -> (C, P, Q, N): of each window, the strongest response.

Forward.    y[c, p, q] = max over u, v of  x[c, s p + u, s q + v]

Backward. A maximum moves only with its winner, and one for one:

    dy[c, p, q] / dx[c, i, j] = 1 where (i, j) won window (p, q), else 0

* convolution -> pooling (the layer below is a convolution): its delta is the pooled delta **upsampled**: each value
  goes back to the one pixel that won, all others get zero. So `forward` remembers winners. Where windows overlap a
  pixel may have won several times, and is blamed by each of them. Of equals the first wins, as in torch: after ReLU
  whole windows are zero, and dividing the blame among equals would be another rule.

There is nothing to train. Margins are minus infinity, which never wins. As in torch, NaN beats every number and a later
NaN an earlier one, and where a whole window is minus infinity its first pixel wins that is no margin.
"""

from __future__ import annotations

import numpy as np

from convlens.errors import UsageError
from convlens.scratch.layer import Layer
from convlens.scratch.padding import Padding, pad
from convlens.scratch.windows import Windows


class MaxPooling(Layer):
    """The stride is the kernel's size unless it is given."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] | None = None,
        padding: Padding = "valid",
    ) -> None:
        super().__init__()
        self.windows = Windows(kernel_size, kernel_size if stride is None else stride, padding, fill=-np.inf)
        (down, across), margins = self.windows.kernel, self.windows.padding
        if not isinstance(margins, str) and (max(margins[0]) >= down or max(margins[1]) >= across):
            raise UsageError(f"padding {padding} around a window of {down} x {across}: whole windows would be margin")
        self.number = np.min_scalar_type(down * across - 1)  # of a pixel in its window: a byte, where that is enough
        self.output_shape: tuple[int, ...] | None = None

    def forward(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        self.check_maps(x)
        self.x, padded = x, self.windows.padded(x)
        self.padded_shape = padded.shape
        (_, _, y), *others = self.windows.views(padded)
        y = y.copy()
        self.winner = np.zeros(y.shape, self.number)  # which pixel of its window, row by row
        for number, (_, _, view) in enumerate(others, start=1):
            wins = (view > y).view(np.uint8)
            np.maximum(self.winner, wins * self.number.type(number), out=self.winner)  # later numbers are larger
            np.maximum(y, view, out=y)
        self.output_shape = y.shape
        if not np.isfinite(y).all():
            self._settle(padded, y)
        return y

    def _settle(self, padded: np.ndarray, y: np.ndarray) -> None:
        """The winners among what is no number, and among nothing but minus infinity."""
        inside = pad(np.ones(self.x.shape, bool), self.windows.margins(self.x), fill=False)
        pixels = list(zip(self.windows.views(padded), self.windows.views(inside), strict=True))
        for number, ((_, _, view), _) in enumerate(pixels):
            self.winner[np.isnan(view)] = number
        for number, (_, (_, _, within)) in reversed(list(enumerate(pixels))):
            self.winner[np.isneginf(y) & within] = number

    def backward(self, delta: np.ndarray) -> np.ndarray:
        self.check_delta(delta, self.output_shape)
        padded = np.zeros(self.padded_shape, delta.dtype)
        for number, (_, _, view) in enumerate(self.windows.views(padded)):
            view += delta * (self.winner == number)
        return self.windows.unpadded(padded, self.x)
