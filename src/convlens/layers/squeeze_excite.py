"""Squeeze and excitation (Hu et al. 2017), which SE-ResNet, MnasNet-A1 and MobileNet v3 share."""

from __future__ import annotations

import torch
from torch import nn

from convlens.layers.sequence import sequence


class SqueezeExcite(nn.Module):
    """y = x * gate(x), a weight in 0..1 for every channel from the average over the picture."""

    def __init__(self, channels: int, squeezed: int, *, sigmoid: type[nn.Module] = nn.Sigmoid) -> None:
        super().__init__()
        self.gate = sequence(
            pool=nn.AdaptiveAvgPool2d(1),
            squeeze=nn.Conv2d(channels, squeezed, 1),
            act=nn.ReLU(),
            excite=nn.Conv2d(squeezed, channels, 1),
            sigmoid=sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gate(x)
