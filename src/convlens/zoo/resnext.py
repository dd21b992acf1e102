"""ResNeXt (Xie, Girshick, Dollar, Tu and He, 2016), https://arxiv.org/abs/1611.05431.

Table 1 of the paper, for 224 x 224 images; its 32x4d means 32 transformations (the cardinality) of 4 channels each in
the first stage. A block is in the form of figure 3 (c): all transformations are one grouped convolution.
As in the paper (section 4) the stride of a block sits on its 3x3 convolution, and shortcuts are projections where the
shape changes (option B). `resnext101_32x8d` is not in the paper: the same rule, for weights that were published later.
Small pictures: see `small.py`; the stem is ResNet's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import ConvNormAct, ResidualBlock, he_initialise, make_shortcut, pooled_classifier, sequence
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register
from convlens.zoo.resnet import make_stem
from convlens.zoo.small import check_smallest

PAPER = Paper(
    family="resnext",
    year=2016,
    title="Aggregated Residual Transformations for Deep Neural Networks",
    authors="Xie, Girshick, Dollar, Tu, He",
    link="https://arxiv.org/abs/1611.05431",
)

# fmt: off
STEM_CHANNELS = 64
CHANNELS = [256, 512, 1024, 2048]
#         56 px  28    14     7 px
TABLE_1 = {
    50:  [3,     4,    6,     3],
    101: [3,     4,    23,    3],
}
# fmt: on


def transformations(in_channels: int, inner: int, channels: int, cardinality: int, stride: int) -> nn.Sequential:
    """The sum in equation 2: (N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
    return sequence(
        reduce=ConvNormAct(in_channels, inner, 1),
        transform=ConvNormAct(inner, inner, 3, stride=stride, groups=cardinality),
        restore=ConvNormAct(inner, channels, 1, act=None),
    )


class ResNeXt(Network):
    """Four stages; each but the first halves the maps in its first block and doubles the channels of a path."""

    def __init__(
        self,
        depth: int,
        cardinality: int,
        path_channels: int,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
    ) -> None:
        super().__init__()
        check_smallest(f"resnext{depth}", image_size, 8)
        self.stem = make_stem(in_channels, STEM_CHANNELS, image_size)
        self.stages = nn.Sequential()
        from_channels, inner = STEM_CHANNELS, cardinality * path_channels
        for number, (channels, count) in enumerate(zip(CHANNELS, TABLE_1[depth], strict=True)):
            stage = nn.Sequential()
            for index in range(count):
                stride = 2 if number and not index else 1
                residual = transformations(from_channels, inner, channels, cardinality, stride)
                stage.append(ResidualBlock(residual, make_shortcut(from_channels, channels, stride)))
                from_channels = channels
            self.stages.append(stage)
            inner *= 2
        self.head = pooled_classifier(from_channels, num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, ResNeXt)
def resnext50_32x4d(**options: Any) -> ResNeXt:
    return ResNeXt(50, 32, 4, **options)


@register(PAPER, ResNeXt)
def resnext101_32x8d(**options: Any) -> ResNeXt:
    return ResNeXt(101, 32, 8, **options)


@register(PAPER, ResNeXt)
def resnext101_64x4d(**options: Any) -> ResNeXt:
    return ResNeXt(101, 64, 4, **options)
