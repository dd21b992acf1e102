"""ShuffleNet v2 (Ma, Zhang, Zheng and Sun, 2018), https://arxiv.org/abs/1807.11164.

Table 5 of the paper, for 224 x 224 images, in its four widths.
Small pictures: see `small.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import ConvNormAct, he_initialise, pooled_classifier, sequence
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest, gentle_strides

PAPER = Paper(
    family="shufflenet_v2",
    year=2018,
    title="ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
    authors="Ma, Zhang, Zheng, Sun",
    link="https://arxiv.org/abs/1807.11164",
)

# fmt: off
STEM_CHANNELS = 24
#           28 px  14 px  7 px
REPEATS =  [    4,     8,    4]
TABLE_5 = {  #             channels of the stages, of the last convolution
    "x0.5": ([ 48,    96,  192],  1024),
    "x1.0": ([116,   232,  464],  1024),
    "x1.5": ([176,   352,  704],  1024),
    "x2.0": ([244,   488,  976],  2048),
}
# fmt: on


def depthwise(channels: int, stride: int) -> ConvNormAct:
    return ConvNormAct(channels, channels, 3, stride=stride, groups=channels, act=None)


def branch(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    """1x1, 3x3 depthwise, 1x1: (N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
    return sequence(
        expand=ConvNormAct(in_channels, channels, 1),
        depthwise=depthwise(channels, stride),
        project=ConvNormAct(channels, channels, 1),
    )


class Unit(nn.Module):
    """y = shuffle([left, branch(right)]) of the two halves of x, figure 3c."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = branch(channels // 2, channels // 2, 1)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x.chunk(2, dim=1)
        return self.shuffle(torch.cat((left, self.branch(right)), dim=1))


class FirstUnit(nn.Module):
    """y = shuffle([shortcut(x), branch(x)]), figure 3d: changes the channels and, with stride 2, halves the maps."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.shortcut = sequence(
            depthwise=depthwise(in_channels, stride), project=ConvNormAct(in_channels, channels // 2, 1)
        )
        self.branch = branch(in_channels, channels // 2, stride)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shuffle(torch.cat((self.shortcut(x), self.branch(x)), dim=1))


class ShuffleNetV2(Network):
    """Three stages of units, then a 1x1 convolution."""

    def __init__(
        self,
        width: str,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
    ) -> None:
        super().__init__()
        check_smallest("shufflenet_v2", image_size, 8)
        stem_stride, pool_stride, *strides = gentle_strides([2] * 5, image_size)
        self.stem = sequence(conv=ConvNormAct(in_channels, STEM_CHANNELS, 3, stride=stem_stride))
        if pool_stride == 2:
            self.stem.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
        widths, last_channels = TABLE_5[width]
        from_channels = STEM_CHANNELS
        self.stages = nn.Sequential()
        for channels, count, stride in zip(widths, REPEATS, strides, strict=True):
            first = FirstUnit(from_channels, channels, stride)
            self.stages.append(nn.Sequential(first, *(Unit(channels) for _ in range(count - 1))))
            from_channels = channels
        self.stages.append(ConvNormAct(from_channels, last_channels, 1))
        self.head = pooled_classifier(last_channels, num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, ShuffleNetV2)
def shufflenet_v2_x0_5(**options: Any) -> ShuffleNetV2:
    return ShuffleNetV2("x0.5", **options)


@register(PAPER, ShuffleNetV2)
def shufflenet_v2_x1_0(**options: Any) -> ShuffleNetV2:
    return ShuffleNetV2("x1.0", **options)


@register(PAPER, ShuffleNetV2)
def shufflenet_v2_x1_5(**options: Any) -> ShuffleNetV2:
    return ShuffleNetV2("x1.5", **options)


@register(PAPER, ShuffleNetV2)
def shufflenet_v2_x2_0(**options: Any) -> ShuffleNetV2:
    return ShuffleNetV2("x2.0", **options)
