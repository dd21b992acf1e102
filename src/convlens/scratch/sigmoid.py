"""The logistic function. y = 1 / (1 + exp(-x)), number by number, any shape.

Backward. With y = 1/d and d = 1 + exp(-x):

    dy/dx = exp(-x) / d^2 = (1/d) (1 - 1/d) = y (1 - y)        delta_x = delta y (1 - y)

It is at most 1/4: through many sigmoids a delta fades.
It is computed as (1 + tanh(x / 2)) / 2, the same but for rounding at 1, whose exponential never overflows: below -38,
in float32 below -20, y is 0 exactly, where the logistic function is less than 1e-16, and than 3e-9.
"""

from __future__ import annotations

import numpy as np

from convlens.scratch.layer import Layer, check_floats


class Sigmoid(Layer):
    output_shape: tuple[int, ...] | None = None

    def forward(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        check_floats(self.kind, x)
        self.y, self.output_shape = (1 + np.tanh(x / 2)) / 2, x.shape
        return self.y

    def backward(self, delta: np.ndarray) -> np.ndarray:
        self.check_delta(delta, self.output_shape)
        return delta * self.y * (1 - self.y)
