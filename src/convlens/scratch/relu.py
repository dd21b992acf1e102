"""The rectifier. y = max(x, 0), number by number, any shape.

Backward.    dy/dx = 1 where x > 0, else 0        delta_x = delta where x > 0

At x = 0 there is no derivative; 0 is taken, as torch does.
"""

from __future__ import annotations

import numpy as np

from convlens.scratch.layer import Layer, check_floats


class ReLU(Layer):
    output_shape: tuple[int, ...] | None = None

    def forward(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        check_floats(self.kind, x)
        self.passed, self.output_shape = x > 0, x.shape
        return np.maximum(x, 0)

    def backward(self, delta: np.ndarray) -> np.ndarray:
        self.check_delta(delta, self.output_shape)
        return delta * self.passed
