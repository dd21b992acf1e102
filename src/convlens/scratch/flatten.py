"""Maps to features. (C, H, W, N) -> (C H W, N), in the order channel, row, column.

* convolution -> dense: nothing is computed here, forward or backward. The delta of the features, W' delta of the dense
  layer, has one value for each pixel of the maps, and takes their shape again: that is the delta of the convolution
  (or of the pooling) below.
"""

from __future__ import annotations

import numpy as np

from convlens.scratch.layer import Layer, check_floats


class Flatten(Layer):
    """What is flat already stays as it is."""

    shape: tuple[int, ...] | None = None

    def forward(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        check_floats(self.kind, x)
        self.shape = x.shape
        return x.reshape(-1, x.shape[-1])

    def backward(self, delta: np.ndarray) -> np.ndarray:
        expected = None if self.shape is None else (int(np.prod(self.shape[:-1])), self.shape[-1])
        self.check_delta(delta, expected)
        assert self.shape is not None
        return delta.reshape(self.shape)
