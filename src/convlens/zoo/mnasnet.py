"""MnasNet (Tan, Chen, Pang, Vasudevan, Sandler, Howard and Le, 2018), https://arxiv.org/abs/1807.11626.

`mnasnet_a1`: figure 7 of the paper, for 224 x 224 images; `width` is its depth multiplier.
`mnasnet0_5` to `mnasnet1_3`: the model B1, found without squeeze and excite; its rows are those of the authors' code,
and the number in the name is the multiplier, which leaves the last convolution at 1,280 channels in both models.
Squeeze and excite has a quarter of the channels that come into its block, as in that code.
Small pictures: see `small.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import (
    ConvNormAct,
    SqueezeExcite,
    he_initialise,
    pooled_classifier,
    round_channels,
    sequence,
    set_batch_norm,
)
from convlens.zoo.architecture import Network, check_width
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest, gentle_strides

PAPER = Paper(
    family="mnasnet",
    year=2018,
    title="MnasNet: Platform-Aware Neural Architecture Search for Mobile",
    authors="Tan, Chen, Pang, Vasudevan, Sandler, Howard, Le",
    link="https://arxiv.org/abs/1807.11626",
)

# fmt: off
STEM_CHANNELS, SEPARABLE_CHANNELS, LAST_CHANNELS = 32, 16, 1280
#    kernel, expansion, channels, blocks, squeeze, stride
FIGURE_7 = [
    (     3,         6,       24,      2,   False,      2),
    (     5,         3,       40,      3,    True,      2),
    (     3,         6,       80,      4,   False,      2),
    (     3,         6,      112,      2,    True,      1),
    (     5,         6,      160,      3,    True,      2),
    (     3,         6,      320,      1,   False,      1),
]
MODEL_B1 = [
    (     3,         3,       24,      3,   False,      2),
    (     5,         3,       40,      3,   False,      2),
    (     5,         6,       80,      3,   False,      2),
    (     3,         6,       96,      2,   False,      1),
    (     5,         6,      192,      4,   False,      2),
    (     3,         6,      320,      1,   False,      1),
]
# fmt: on
Row = tuple[int, int, int, int, bool, int]


class InvertedResidual(nn.Module):
    """y = x + residual(x) where the shapes agree, else residual(x): 1x1 to expand, depthwise, linear 1x1."""

    def __init__(self, in_channels: int, channels: int, row: Row, stride: int) -> None:
        super().__init__()
        kernel, expansion, _, _, squeeze, _ = row
        wide = in_channels * expansion
        self.residual = sequence(
            expand=ConvNormAct(in_channels, wide, 1),
            depthwise=ConvNormAct(wide, wide, kernel, stride=stride, groups=wide),
        )
        if squeeze:
            self.residual.add_module("squeeze_excite", SqueezeExcite(wide, round(in_channels / 4)))
        self.residual.add_module("project", ConvNormAct(wide, channels, 1, act=None))
        self.adds = stride == 1 and in_channels == channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.residual(x) if self.adds else self.residual(x)


def separable(in_channels: int, channels: int) -> nn.Sequential:
    """3x3 depthwise, linear 1x1: (N, in_channels, H, W) -> (N, channels, H, W)."""
    return sequence(
        depthwise=ConvNormAct(in_channels, in_channels, 3, groups=in_channels),
        project=ConvNormAct(in_channels, channels, 1, act=None),
    )


class MnasNet(Network):
    """A separable convolution, six stages of inverted residuals, the 1x1 convolution to 1,280 channels."""

    def __init__(
        self,
        rows: list[Row],
        width: float,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
    ) -> None:
        super().__init__()
        check_smallest("mnasnet", image_size, 8)
        stem_stride, *strides = gentle_strides([2, *(row[-1] for row in rows)], image_size)
        stem_channels, from_channels = round_channels(STEM_CHANNELS * width), round_channels(SEPARABLE_CHANNELS * width)
        self.stem = ConvNormAct(in_channels, stem_channels, 3, stride=stem_stride)
        self.stages = nn.Sequential(separable(stem_channels, from_channels))
        for row, stride in zip(rows, strides, strict=True):
            _, _, channels, count, _, _ = row
            channels, stage = round_channels(channels * width), nn.Sequential()
            for index in range(count):
                stage.append(InvertedResidual(from_channels, channels, row, 1 if index else stride))
                from_channels = channels
            self.stages.append(stage)
        self.stages.append(ConvNormAct(from_channels, LAST_CHANNELS, 1))
        self.head = pooled_classifier(LAST_CHANNELS, num_classes, dropout=0.2)
        set_batch_norm(self, eps=1e-5, momentum=0.01)  # the paper's 0.99 is what stays
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


class MnasNetA1(MnasNet):
    """The search's result with squeeze and excite, of any width."""

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        width: float = 1.0,
    ) -> None:
        super().__init__(
            FIGURE_7, check_width(width), num_classes=num_classes, in_channels=in_channels, image_size=image_size
        )


@register(PAPER, MnasNet)
def mnasnet0_5(**options: Any) -> MnasNet:
    return MnasNet(MODEL_B1, 0.5, **options)


@register(PAPER, MnasNet)
def mnasnet0_75(**options: Any) -> MnasNet:
    return MnasNet(MODEL_B1, 0.75, **options)


@register(PAPER, MnasNet)
def mnasnet1_0(**options: Any) -> MnasNet:
    return MnasNet(MODEL_B1, 1.0, **options)


@register(PAPER, MnasNet)
def mnasnet1_3(**options: Any) -> MnasNet:
    return MnasNet(MODEL_B1, 1.3, **options)


@register(PAPER, MnasNetA1)
def mnasnet_a1(**options: Any) -> MnasNetA1:
    return MnasNetA1(**options)
