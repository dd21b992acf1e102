"""ResNet (He, Zhang, Ren and Sun, 2015), https://arxiv.org/abs/1512.03385.

Table 1 of the paper, for 224 x 224 images. `resnet_plain.py` has its networks without shortcuts, `resnet_cifar.py`
those of section 4.2. `shortcut` is one of the paper's options: "A", the identity padded with zeros, "B", projections
where the shape changes, "C", projections everywhere.
Departures: the stride of a bottleneck sits on its 3x3 convolution ("v1.5", as in the published weights), not on its
first 1x1. The paper does not say where option A puts its zero channels: here half come first and half last.
`width` multiplies every channel count; 0.25 gives the 16-32-64-128 network that a CPU likes.
Small pictures: see `small.py`; the stem is the 3x3 convolution of the paper's CIFAR networks (section 4.2).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import ResidualBlock, he_initialise, make_shortcut, pooled_classifier, round_channels, sequence
from convlens.zoo.architecture import Network, check_width
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest, is_small

PAPER = Paper(
    family="resnet",
    year=2015,
    title="Deep Residual Learning for Image Recognition",
    authors="He, Zhang, Ren, Sun",
    link="https://arxiv.org/abs/1512.03385",
)

# fmt: off
WIDTHS = [64, 128, 256, 512]
#                  56 px  28  14  7 px
TABLE_1 = {
    18:  ("basic",      [2, 2,  2,  2]),
    34:  ("basic",      [3, 4,  6,  3]),
    50:  ("bottleneck", [3, 4,  6,  3]),
    101: ("bottleneck", [3, 4,  23, 3]),
    152: ("bottleneck", [3, 8,  36, 3]),
}
# fmt: on


def convolution(in_channels: int, channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, kernel, stride=stride, padding=kernel // 2, bias=False)


def basic(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    """Two 3x3 convolutions, figure 5 left: (N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
    return sequence(
        conv1=convolution(in_channels, channels, 3, stride),
        norm1=nn.BatchNorm2d(channels),
        act1=nn.ReLU(),
        conv2=convolution(channels, channels, 3),
        norm2=nn.BatchNorm2d(channels),
    )


def bottleneck(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    """1x1 to reduce, 3x3, 1x1 to restore, figure 5 right; four times the channels come out."""
    return sequence(
        conv1=convolution(in_channels, channels, 1),
        norm1=nn.BatchNorm2d(channels),
        act1=nn.ReLU(),
        conv2=convolution(channels, channels, 3, stride),
        norm2=nn.BatchNorm2d(channels),
        act2=nn.ReLU(),
        conv3=convolution(channels, channels * 4, 1),
        norm3=nn.BatchNorm2d(channels * 4),
    )


RESIDUALS = {"basic": (basic, 1), "bottleneck": (bottleneck, 4)}  # with the factor of the channels


def make_stem(in_channels: int, channels: int, image_size: tuple[int, int]) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, channels, H / 4, W / 4), or H, W for small pictures."""
    if is_small(image_size):
        conv, pool = convolution(in_channels, channels, 3), {}
    else:
        conv, pool = convolution(in_channels, channels, 7, 2), {"pool": nn.MaxPool2d(3, stride=2, padding=1)}
    return sequence(conv=conv, norm=nn.BatchNorm2d(channels), act=nn.ReLU(), **pool)


class ResNet(Network):
    """Four stages; each but the first halves the maps in its first block."""

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        width: float = 1.0,
        shortcut: str = "B",
    ) -> None:
        super().__init__()
        check_smallest(f"resnet{depth}", image_size, 8)
        kind, counts = TABLE_1[depth]
        residual, expansion = RESIDUALS[kind]
        widths = [round_channels(channels * check_width(width)) for channels in WIDTHS]
        self.stem = make_stem(in_channels, widths[0], image_size)
        self.stages = nn.Sequential()
        from_channels = widths[0]
        for number, (channels, count) in enumerate(zip(widths, counts, strict=True)):
            stage = nn.Sequential()
            for index in range(count):
                stride = 2 if number and not index else 1
                skip = make_shortcut(from_channels, channels * expansion, stride, shortcut)
                stage.append(ResidualBlock(residual(from_channels, channels, stride), skip))
                from_channels = channels * expansion
            self.stages.append(stage)
        self.head = pooled_classifier(from_channels, num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, ResNet)
def resnet18(**options: Any) -> ResNet:
    return ResNet(18, **options)


@register(PAPER, ResNet)
def resnet34(**options: Any) -> ResNet:
    return ResNet(34, **options)


@register(PAPER, ResNet)
def resnet50(**options: Any) -> ResNet:
    return ResNet(50, **options)


@register(PAPER, ResNet)
def resnet101(**options: Any) -> ResNet:
    return ResNet(101, **options)


@register(PAPER, ResNet)
def resnet152(**options: Any) -> ResNet:
    return ResNet(152, **options)
