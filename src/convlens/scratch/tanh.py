"""The hyperbolic tangent. y = tanh(x), number by number, any shape.

Backward. With y = sinh(x) / cosh(x), the quotient rule, and cosh^2 - sinh^2 = 1:

    dy/dx = (cosh^2 - sinh^2) / cosh^2 = 1 - y^2        delta_x = delta (1 - y^2)
"""

from __future__ import annotations

import numpy as np

from convlens.scratch.layer import Layer, check_floats


class Tanh(Layer):
    output_shape: tuple[int, ...] | None = None

    def forward(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        check_floats(self.kind, x)
        self.y, self.output_shape = np.tanh(x), x.shape
        return self.y

    def backward(self, delta: np.ndarray) -> np.ndarray:
        self.check_delta(delta, self.output_shape)
        return delta * (1 - self.y**2)
