"""Softmax. (K, …, N) -> (K, …, N): K scores become K probabilities, over the first axis.

Forward, at temperature T:

    y[i] = exp(x[i] / T) / sum over j of  exp(x[j] / T)

A high temperature makes all classes alike, a low one lets the best take all. Adding one number to all scores changes
nothing, so the largest is taken off first: exp never overflows.

Backward. Each probability hangs on every score, through the sum S below it, and on its own above it too. By the
quotient rule, with e[i] = exp(x[i] / T), whose slope by x[i] is e[i] / T:

    dy[i] / dx[j] = ((i = j) e[i] S - e[i] e[j]) / (T S^2) = y[i] ((i = j) - y[j]) / T
    delta_x[j]    = y[j] (delta[j] - sum over i of  delta[i] y[i]) / T

For training see `cross_entropy`, which takes the scores themselves: there the two derivatives cancel to y - target.
"""

from __future__ import annotations

import numpy as np

from convlens.errors import check_number
from convlens.scratch.layer import Layer, check_floats


def check_temperature(temperature: float) -> float:
    return check_number("temperature", temperature, 0, above=True)


def softmax(x: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities over the first axis."""
    powers = np.exp((x - x.max(0)) / temperature)
    return powers / powers.sum(0)


class Softmax(Layer):
    output_shape: tuple[int, ...] | None = None

    def __init__(self, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = check_temperature(temperature)

    def forward(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        check_floats(self.kind, x)
        self.y, self.output_shape = softmax(x, self.temperature), x.shape
        return self.y

    def backward(self, delta: np.ndarray) -> np.ndarray:
        self.check_delta(delta, self.output_shape)
        return self.y * (delta - (delta * self.y).sum(0)) / self.temperature
