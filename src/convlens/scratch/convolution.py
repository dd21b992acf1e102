"""Convolution. (C, H, W, N) -> (K, P, Q, N), with K filters of C/groups x kh x kw and stride s.

Forward. Each output is one filter laid over one window, multiplied and added up:

    y[k, p, q] = b[k] + sum over c, u, v of  w[k, c, u, v] x[c, s p + u, s q + v]

This is cross-correlation, which the whole field calls convolution. `flipped=True` gives that of mathematics, where the
kernel is turned by half a turn, w[k, c, kh-1-u, kw-1-v]; a trained network is the same, with its filters turned.
Lay the windows out as columns, X[(c, u, v), (p, q)], and the filters as rows, and the sums are one matrix product:

    y = W X + b                                 W is (K, C kh kw), X is (C kh kw, P Q N)

Backward. Let delta = dE/dy. Every rule is that of a matrix product, and of who was copied where:

    dE/db[k]          = sum over p, q of  delta[k, p, q]                         b[k] was added at every place
    dE/dw[k, c, u, v] = sum over p, q of  delta[k, p, q] x[c, s p + u, s q + v]  dE/dW = delta X'
    delta_X           = W' delta                                                 then columns are laid back over x

The gradient of the weights is itself a cross-correlation, of the input with the delta. And laying W' delta back says
that a pixel is blamed by each window that it was in, through the weight that it met there. For s = 1 that reads

    delta_x[c, i, j] = sum over k, u, v of  delta[k, i - u, j - v] w[k, c, u, v]

which is true convolution: the delta, padded by kh-1 and kw-1 ("full"), under the kernel turned by half a turn.

* pooling -> convolution: delta_x is the delta of the pooling layer below, as it stands: no activation is in
  between, whose derivative would be a factor.
* convolution -> convolution: delta_x, times the derivative of the activation in between, is the delta of the lower one.
* For s > 1 the same formula holds for a delta with s-1 zeros between its values: places where no window began.
* With groups, group g of the filters sees and blames group g of the channels alone: G matrix products in place of one.
"""

from __future__ import annotations

import numpy as np

from convlens.errors import UsageError, check_count
from convlens.scratch.layer import Layer, he_normal
from convlens.scratch.padding import Padding
from convlens.scratch.windows import Windows


class Convolution(Layer):
    """`padding`: "valid" (none), "same" (ceil(H / stride) rows come out), p, (down, across) or ((t, b), (l, r))."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: Padding = "valid",
        padding_mode: str = "zeros",
        groups: int = 1,
        bias: bool = True,
        flipped: bool = False,
    ) -> None:
        super().__init__()
        if padding_mode not in ("zeros", "replicate"):
            raise UsageError(f"padding_mode is {padding_mode!r}, expected 'zeros' or 'replicate'")
        self.in_channels, self.channels = check_count("in_channels", in_channels), check_count("channels", channels)
        self.groups, self.flipped = check_count("groups", groups), flipped
        if self.in_channels % self.groups or self.channels % self.groups:
            raise UsageError(f"{groups} groups do not divide {in_channels} input and {channels} output channels")
        self.windows = Windows(kernel_size, stride, padding, replicate=padding_mode == "replicate")
        self.parameters["weight"] = np.zeros((self.channels, self.in_channels // self.groups, *self.windows.kernel))
        if bias:
            self.parameters["bias"] = np.zeros(self.channels)
        self.output_shape: tuple[int, ...] | None = None

    def draw(self, random: np.random.Generator) -> None:
        self.parameters["weight"] = he_normal(random, self.parameters["weight"])

    def forward(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        self.check_maps(x, self.in_channels)
        self.x, padded = x, self.windows.padded(x)
        columns = self.windows.columns(padded)
        self.padded_shape, self.columns_shape = padded.shape, columns.shape
        self.output_shape = (self.channels, *columns.shape[3:])
        self.columns = columns.reshape(self.groups, -1, columns[0, 0, 0].size)  # (G, C/G kh kw, P Q N)
        y = self._matrix() @ self.columns  # (G, K/G, P Q N)
        if "bias" in self.parameters:
            y += self.parameters["bias"].reshape(self.groups, -1, 1)
        return y.reshape(self.output_shape)

    def backward(self, delta: np.ndarray) -> np.ndarray:
        self.check_delta(delta, self.output_shape)
        delta = delta.reshape(self.groups, self.channels // self.groups, -1)  # (G, K/G, P Q N)
        weight = delta @ self.columns.transpose(0, 2, 1)
        self.gradients["weight"] = self._turned(weight.reshape(self.parameters["weight"].shape))
        if "bias" in self.parameters:
            self.gradients["bias"] = delta.sum(2).ravel()
        columns = (self._matrix().transpose(0, 2, 1) @ delta).reshape(self.columns_shape)
        return self.windows.unpadded(self.windows.lay_back(columns, self.padded_shape), self.x)

    def _matrix(self) -> np.ndarray:
        """The filters as rows, (G, K/G, C/G kh kw)."""
        turned = self._turned(self.parameters["weight"])
        return turned.reshape(self.groups, self.channels // self.groups, -1)

    def _turned(self, weight: np.ndarray) -> np.ndarray:
        """Kernels turned by half a turn where the layer is a true convolution."""
        return np.ascontiguousarray(weight[:, :, ::-1, ::-1]) if self.flipped else weight
