"""ResNet for CIFAR-10 (He, Zhang, Ren and Sun, 2015), https://arxiv.org/abs/1512.03385.

Section 4.2 of the paper, for 32 x 32 images: a 3x3 convolution and 3 stages of 2n layers, 6n + 2 layers in all. As in
the paper its shortcuts are identities in every place (option A); `shortcut` may be "B" or "C" as in `resnet.py`.
The paper does not say where option A puts its zero channels: half come first and half last, as in published weights.
Pictures above 32 px: see `small.py`; the stem halves them once, above 64 px twice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import ConvNormAct, ResidualBlock, he_initialise, make_shortcut, pooled_classifier
from convlens.zoo.architecture import Network
from convlens.zoo.registry import register
from convlens.zoo.resnet import PAPER, basic
from convlens.zoo.small import added_halvings, check_smallest

# fmt: off
#            32 px  16   8 px
WIDTHS     = [16,   32,  64]
STRIDES    = [1,    2,   2]
# fmt: on


def make_stem(in_channels: int, channels: int, image_size: tuple[int, int]) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, channels, H, W); H / 2 above 32 px, H / 4 above 64 px."""
    halvings = added_halvings(image_size)
    stem = ConvNormAct(in_channels, channels, 3, stride=2 if halvings else 1)
    if halvings == 2:
        stem.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
    return stem


class CifarResNet(Network):
    """Three stages of n blocks of two layers, depth = 6n + 2."""

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 10,
        in_channels: int = 3,
        image_size: tuple[int, int] = (32, 32),
        shortcut: str = "A",
    ) -> None:
        super().__init__()
        check_smallest(f"resnet{depth}", image_size, 8)
        from_channels = WIDTHS[0]
        self.stem = make_stem(in_channels, from_channels, image_size)
        self.stages = nn.Sequential()
        for channels, stride in zip(WIDTHS, STRIDES, strict=True):
            stage = nn.Sequential()
            for _ in range((depth - 2) // 6):
                skip = make_shortcut(from_channels, channels, stride, shortcut)
                stage.append(ResidualBlock(basic(from_channels, channels, stride), skip))
                from_channels, stride = channels, 1
            self.stages.append(stage)
        self.head = pooled_classifier(from_channels, num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 32, 32)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, CifarResNet, resolution=32, num_classes=10)
def resnet20(**options: Any) -> CifarResNet:
    return CifarResNet(20, **options)


@register(PAPER, CifarResNet, resolution=32, num_classes=10)
def resnet32(**options: Any) -> CifarResNet:
    return CifarResNet(32, **options)


@register(PAPER, CifarResNet, resolution=32, num_classes=10)
def resnet44(**options: Any) -> CifarResNet:
    return CifarResNet(44, **options)


@register(PAPER, CifarResNet, resolution=32, num_classes=10)
def resnet56(**options: Any) -> CifarResNet:
    return CifarResNet(56, **options)


@register(PAPER, CifarResNet, resolution=32, num_classes=10)
def resnet110(**options: Any) -> CifarResNet:
    return CifarResNet(110, **options)


@register(PAPER, CifarResNet, resolution=32, num_classes=10)
def resnet1202(**options: Any) -> CifarResNet:
    return CifarResNet(1202, **options)
