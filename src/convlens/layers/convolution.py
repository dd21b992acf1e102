"""Convolution, batch normalisation and activation: the unit of which the MobileNets are made."""

from __future__ import annotations

from torch import nn


class ConvNormAct(nn.Sequential):
    """(N, C, H, W) -> (N, K, ceil(H / stride), ceil(W / stride)) for an odd kernel; act=None for a linear output."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        act: type[nn.Module] | None = nn.ReLU,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(out_channels)
        if act is not None:
            self.act = act()
