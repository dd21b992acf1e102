"""TensorFlow's "same" padding, which puts the odd pixel after the picture where others pad both sides alike."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class SameConv2d(nn.Conv2d):
    """(N, C, H, W) -> (N, K, ceil(H / stride), ceil(W / stride)), whatever the kernel.

    Padded are max((ceil(H / stride) - 1) * stride + kernel - H, 0) rows, half of them, rounded down, before the first:
    a 3x3 convolution of stride 2 on an even side pads nothing before and 1 after.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        columns = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        return super().forward(functional.pad(x, (*columns, *rows)))


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after one axis."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
