"""Batch normalisation (Ioffe and Szegedy, 2015), https://arxiv.org/abs/1502.03167. (C, H, W, N) or (C, N), unchanged.

Forward, for each channel, with m = H W N numbers in the batch:

    mu = mean of x      var = mean of (x - mu)^2      z = (x - mu) / sqrt(var + eps)      y = gamma z + beta

In training mu and var are those of the batch, and running means of them are kept; afterwards these take their place.

Backward. gamma and beta are a scale and a shift:

    dE/dgamma = sum of delta z        dE/dbeta = sum of delta

In use mu and var are constants, and delta_x = gamma delta / sqrt(var + eps). In training x moves them too. With
d = gamma delta, the delta of z, and sigma = sqrt(var + eps):

    dE/dvar = -1/2 sigma^-3 sum of d (x - mu)         dE/dmu = -1/sigma sum of d       (dvar/dmu = 0: the x - mu cancel)
    delta_x = d / sigma + dE/dvar 2 (x - mu) / m + dE/dmu / m
            = (d - mean of d - z mean of (d z)) / sigma

The two means are taken off because y does not change when all x move together, or away from each other.
Running statistics are torch's: running = (1 - momentum) running + momentum batch's, with the variance over m - 1.
"""

from __future__ import annotations

import numpy as np

from convlens.errors import UsageError, check_count, check_number
from convlens.scratch.layer import Layer, check_floats


class BatchNorm(Layer):
    """`weight` is gamma and `bias` is beta, (C,) each."""

    output_shape: tuple[int, ...] | None = None

    def __init__(self, channels: int, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.channels = check_count("channels", channels)
        self.momentum = check_number("momentum", momentum, 0)
        if self.momentum > 1:
            raise UsageError(f"momentum is {momentum}; expected a number from 0 to 1")
        self.epsilon = check_number("epsilon", epsilon, 0, above=True)
        self.parameters = {"weight": np.ones(self.channels), "bias": np.zeros(self.channels)}
        self.buffers = {
            "running_mean": np.zeros(self.channels),
            "running_var": np.ones(self.channels),
            "num_batches_tracked": np.zeros((), np.int64),
        }

    def forward(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        check_floats(self.kind, x)
        if x.ndim not in (2, 4) or len(x) != self.channels:
            raise UsageError(f"BatchNorm got shape {x.shape}, expected ({self.channels}, H, W, N) or (…, N)")
        rows = x.reshape(self.channels, -1)  # (C, m)
        self.output_shape, self.training = x.shape, training
        mean, variance = self._of_the_batch(rows) if training else self._running()
        self.sigma = np.sqrt(variance + self.epsilon)[:, None]
        self.z = (rows - mean[:, None]) / self.sigma
        y = self.parameters["weight"][:, None] * self.z + self.parameters["bias"][:, None]
        return y.reshape(x.shape)

    def backward(self, delta: np.ndarray) -> np.ndarray:
        self.check_delta(delta, self.output_shape)
        rows = delta.reshape(self.channels, -1)
        self.gradients = {"weight": (rows * self.z).sum(1), "bias": rows.sum(1)}
        d = self.parameters["weight"][:, None] * rows
        if self.training:
            d = d - d.mean(1, keepdims=True) - self.z * (d * self.z).mean(1, keepdims=True)
        return (d / self.sigma).reshape(delta.shape)

    def _running(self) -> tuple[np.ndarray, np.ndarray]:
        return self.buffers["running_mean"], self.buffers["running_var"]

    def _of_the_batch(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        m = rows.shape[1]
        if m < 2:
            raise UsageError("BatchNorm got one number a channel to train on, expected two or more: a larger batch")
        mean, variance = rows.mean(1), rows.var(1)
        for name, seen in (("running_mean", mean), ("running_var", variance * (m / (m - 1)))):
            self.buffers[name] = (1 - self.momentum) * self.buffers[name] + self.momentum * seen
        self.buffers["num_batches_tracked"] = np.asarray(self.buffers["num_batches_tracked"] + 1)
        return mean, variance
