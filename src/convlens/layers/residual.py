"""Residual blocks and their shortcuts (He, Zhang, Ren and Sun, 2015, https://arxiv.org/abs/1512.03385)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from convlens.errors import UsageError
from convlens.layers.convolution import ConvNormAct


class ResidualBlock(nn.Module):
    """y = act(residual(x) + shortcut(x)), equations 1 and 2; `act` is a ReLU where none is given, as there."""

    def __init__(self, residual: nn.Module, shortcut: nn.Module, act: nn.Module | None = None) -> None:
        super().__init__()
        self.residual = residual
        self.shortcut = shortcut
        self.act = nn.ReLU() if act is None else act  # an empty Sequential is false

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.residual(x) + self.shortcut(x))


class PaddedIdentity(nn.Module):
    """(N, C, H, W) -> (N, C + extra, ceil(H / stride), ceil(W / stride)), without parameters.

    Every stride-th pixel of every stride-th row; the extra channels are zero, half of them first and half last.
    """

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.padding = (0, 0, 0, 0, extra // 2, extra - extra // 2)  # columns, rows, channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.pad(x[:, :, :: self.stride, :: self.stride], self.padding)

    def extra_repr(self) -> str:
        return f"extra={sum(self.padding)}, stride={self.stride}"


def make_shortcut(in_channels: int, channels: int, stride: int, option: str = "B") -> nn.Module:
    """(N, in_channels, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride)), by the options of section 4.1.

    "A": the identity, padded with zeros where the shape changes; "B": a 1x1 convolution with batch normalisation
    there, the identity elsewhere; "C": such a projection everywhere. UsageError for another option.
    """
    if option not in ("A", "B", "C"):
        raise UsageError(f"shortcut is {option!r}, expected 'A' (padded), 'B' (projected where needed) or 'C' (all)")
    changes = stride != 1 or in_channels != channels
    if option == "C" or (option == "B" and changes):
        return ConvNormAct(in_channels, channels, 1, stride=stride, act=None)
    return PaddedIdentity(channels - in_channels, stride) if changes else nn.Identity()
