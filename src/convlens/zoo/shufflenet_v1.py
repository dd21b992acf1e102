"""ShuffleNet (Zhang, Zhou, Lin and Sun, 2017), https://arxiv.org/abs/1707.01083.

Table 1 of the paper, for 224 x 224 images: pointwise convolutions in groups, whose channels are shuffled between them.
`groups` takes the columns of the table (1, 2, 3, 4 or 8), `width` is the paper's scale (0.25, 0.5 or 1).
Departures: scaled channels, the first convolution's too, are rounded so that the groups divide them; at 0.5 and 0.25
that gives 37 and 11 M multiplications, where the paper counts 38 and 13 and does not say how it rounds. He's
initialisation.
Small pictures: see `small.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.errors import UsageError, counted
from convlens.layers import he_initialise, pooled_classifier, round_channels, sequence
from convlens.zoo.architecture import Network, check_width
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest, gentle_strides

PAPER = Paper(
    family="shufflenet_v1",
    year=2017,
    title="ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
    authors="Zhang, Zhou, Lin, Sun",
    link="https://arxiv.org/abs/1707.01083",
)

# fmt: off
STEM_CHANNELS, BOTTLENECK = 24, 4
#  groups   28 px  14 px  7 px
REPEATS =  [    4,     8,    4]
TABLE_1 = {  #                  channels
    1:     [  144,   288,  576],
    2:     [  200,   400,  800],
    3:     [  240,   480,  960],
    4:     [  272,   544, 1088],
    8:     [  384,   768, 1536],
}
# fmt: on


def residual(in_channels: int, channels: int, bottleneck: int, stride: int, groups: tuple[int, int]) -> nn.Sequential:
    """1x1 in groups, shuffle, 3x3 depthwise, 1x1 in groups: the right side of figure 2."""
    first, second = groups
    return sequence(
        reduce=nn.Conv2d(in_channels, bottleneck, 1, groups=first, bias=False),
        norm1=nn.BatchNorm2d(bottleneck),
        act=nn.ReLU(),
        shuffle=nn.ChannelShuffle(second),
        depthwise=nn.Conv2d(bottleneck, bottleneck, 3, stride=stride, padding=1, groups=bottleneck, bias=False),
        norm2=nn.BatchNorm2d(bottleneck),
        expand=nn.Conv2d(bottleneck, channels, 1, groups=second, bias=False),
        norm3=nn.BatchNorm2d(channels),
    )


class Unit(nn.Module):
    """y = relu(x + residual(x)), figure 2b."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.residual = residual(channels, channels, channels // BOTTLENECK, 1, (groups, groups))
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.residual(x))


class FirstUnit(nn.Module):
    """y = relu([average(x), residual(x)]), figure 2c: changes the channels and, with stride 2, halves the maps."""

    def __init__(self, in_channels: int, channels: int, stride: int, groups: tuple[int, int]) -> None:
        super().__init__()
        self.residual = residual(in_channels, channels - in_channels, channels // BOTTLENECK, stride, groups)
        self.shortcut = nn.AvgPool2d(3, stride=stride, padding=1)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(torch.cat((self.shortcut(x), self.residual(x)), dim=1))


def make_stem(in_channels: int, channels: int, strides: tuple[int, int]) -> nn.Sequential:
    """3x3 convolution, then pooling where there is a stride left for it."""
    conv = nn.Conv2d(in_channels, channels, 3, stride=strides[0], padding=1, bias=False)
    stem = sequence(conv=conv, norm=nn.BatchNorm2d(channels), act=nn.ReLU())
    if strides[1] == 2:
        stem.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
    return stem


class ShuffleNetV1(Network):
    """Three stages of units."""

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        groups: int = 3,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        check_smallest("shufflenet_v1", image_size, 8)
        check_width(width)
        if groups not in TABLE_1:
            raise UsageError(f"groups is {groups!r}, expected one of {', '.join(map(str, TABLE_1))}")
        from_channels = round_channels(STEM_CHANNELS * width, groups)
        stem_stride, pool_stride, *strides = gentle_strides([2] * 5, image_size)
        self.stem = make_stem(in_channels, from_channels, (stem_stride, pool_stride))
        self.stages = nn.Sequential()
        for number, (channels, count, stride) in enumerate(zip(TABLE_1[groups], REPEATS, strides, strict=True)):
            channels = round_channels(channels * width, BOTTLENECK * groups)
            if channels <= from_channels:
                raise UsageError(f"width is {width!r}, too narrow for {counted(groups, 'group')}; take a larger one")
            both = (groups if number else 1, groups)  # 24 channels are too few for groups (note below table 1)
            first = FirstUnit(from_channels, channels, stride, both)
            self.stages.append(nn.Sequential(first, *(Unit(channels, groups) for _ in range(count - 1))))
            from_channels = channels
        self.head = pooled_classifier(from_channels, num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, ShuffleNetV1)
def shufflenet_v1(**options: Any) -> ShuffleNetV1:
    return ShuffleNetV1(**options)
