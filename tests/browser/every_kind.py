"""A small network with every kind of layer that the page takes apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EveryKind(nn.Module):
    """(N, C, 16, 16) -> (N, classes), with stride, padding, groups, a gate, a branch, and both kinds of pooling."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        strided = nn.Conv2d(in_channels, 8, 3, stride=2, padding=1)
        self.strided = nn.Sequential(strided, nn.BatchNorm2d(8), nn.Hardswish())
        self.grouped = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.SiLU())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Sigmoid())
        self.pointwise = nn.Sequential(nn.Conv2d(8, 16, 1), nn.LeakyReLU(0.1))
        self.largest = nn.MaxPool2d(2)
        self.average = nn.AvgPool2d(2)
        self.output = nn.Linear(128, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.strided(images)
        x = x + self.depthwise(self.grouped(x))
        x = self.pointwise(x * self.gate(x))
        pooled = torch.cat([self.average(self.largest(x)), self.largest(self.average(x))], 1)
        return self.output(pooled.flatten(1))
