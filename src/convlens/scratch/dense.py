"""The dense (fully connected) layer. (inputs, N) -> (outputs, N).

Forward.    y = W x + b           y[o] = b[o] + sum over i of  w[o, i] x[i]

Backward. Input i reaches the error through every output, each time through its weight:

    delta_x[i]  = sum over o of  w[o, i] delta[o]       delta_x = W' delta
    dE/dw[o, i] = delta[o] x[i]                         dE/dW   = delta x'     the outer product; summed over the batch
    dE/db[o]    = delta[o]                              dE/db   = delta

* dense -> dense: delta_x, times the derivative of the activation in between, is the delta of the lower one.
* convolution -> dense: the same delta_x; `flatten` gives it the shape of the maps again.
"""

from __future__ import annotations

import numpy as np

from convlens.errors import UsageError, check_count
from convlens.scratch.layer import Layer, check_floats, he_normal


class Dense(Layer):
    """`weight` (outputs, inputs) and `bias` (outputs,)."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.inputs, self.outputs = check_count("inputs", inputs), check_count("outputs", outputs)
        self.parameters["weight"] = np.zeros((self.outputs, self.inputs))
        if bias:
            self.parameters["bias"] = np.zeros(self.outputs)
        self.output_shape: tuple[int, ...] | None = None

    def draw(self, random: np.random.Generator) -> None:
        self.parameters["weight"] = he_normal(random, self.parameters["weight"])

    def forward(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        check_floats(self.kind, x)
        if x.ndim != 2 or len(x) != self.inputs:
            remedy = "put Flatten() before it" if x.ndim > 2 else "check the layer before"
            raise UsageError(f"Dense got an array of shape {x.shape}, expected ({self.inputs}, N); {remedy}")
        self.x = x
        y = self.parameters["weight"] @ x
        if "bias" in self.parameters:
            y += self.parameters["bias"][:, None]
        self.output_shape = y.shape
        return y

    def backward(self, delta: np.ndarray) -> np.ndarray:
        self.check_delta(delta, self.output_shape)
        self.gradients["weight"] = delta @ self.x.T
        if "bias" in self.parameters:
            self.gradients["bias"] = delta.sum(1)
        return self.parameters["weight"].T @ delta
