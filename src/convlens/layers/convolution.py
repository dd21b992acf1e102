"""Convolution, batch normalisation and activation: the unit of which the MobileNets are made."""

from __future__ import annotations

from typing import Any

from torch import nn

from convlens.layers.padding import SameConv2d


class ConvNormAct(nn.Sequential):
    """(N, C, H, W) -> (N, K, ceil(H / stride), ceil(W / stride)) for an odd kernel; act=None for a linear output.

    Zeros stand around the picture, kernel // 2 on every side, or as TensorFlow puts them with padding="same".
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        padding: str = "symmetric",
        act: type[nn.Module] | None = nn.ReLU,
    ) -> None:
        super().__init__()
        shape: dict[str, Any] = {"stride": stride, "groups": groups, "bias": False}
        if padding == "same":
            self.conv: nn.Conv2d = SameConv2d(in_channels, out_channels, kernel, **shape)
        else:
            self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, **shape)
        self.norm = nn.BatchNorm2d(out_channels)
        if act is not None:
            self.act = act()
