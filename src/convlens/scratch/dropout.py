"""Dropout (Srivastava et al., 2014), https://jmlr.org/papers/v15/srivastava14a.html. Any shape, unchanged.

Forward, in training: each number is dropped with probability `rate`, and the rest are scaled, so that the mean stays:

    y = x mask        mask = 0 with probability r, else 1 / (1 - r)

Afterwards y = x: nothing has to be scaled then (the paper scales the weights instead).
Backward. The mask is a constant factor:    delta_x = delta mask
"""

from __future__ import annotations

import numpy as np

from convlens.errors import check_count, check_number
from convlens.scratch.layer import Layer, check_floats


class Dropout(Layer):
    """A network's seed decides what is dropped; on its own, the layer's `seed`."""

    output_shape: tuple[int, ...] | None = None

    def __init__(self, rate: float = 0.5, *, seed: int = 0) -> None:
        super().__init__()
        self.rate = check_number("rate", rate, 0, 1)
        self.random = np.random.default_rng(check_count("seed", seed, 0))
        self.mask: np.ndarray | None = None

    def draw(self, random: np.random.Generator) -> None:
        self.random = np.random.default_rng(random.integers(2**63))

    def forward(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        check_floats(self.kind, x)
        self.output_shape, self.mask = x.shape, None
        if not training or self.rate == 0:
            return x
        kept = self.random.random(x.shape, dtype=np.float32) >= self.rate
        self.mask = kept * x.dtype.type(1 / (1 - self.rate))
        return x * self.mask

    def backward(self, delta: np.ndarray) -> np.ndarray:
        self.check_delta(delta, self.output_shape)
        return delta if self.mask is None else delta * self.mask
