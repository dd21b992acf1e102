"""Wide ResNet (Zagoruyko and Komodakis, 2016), https://arxiv.org/abs/1605.07146.

`wide_resnet16_8`, `wide_resnet28_10`: table 1 of the paper, for 32 x 32 images, depth 6n + 4 and widening factor k. The
paper's depth counts the three projections and not the Linear layer.
Blocks are pre-activated, B(3, 3); a projection reads the activated input, an identity the raw one, as in the authors'
code. `dropout` is the share of values that figure 1 (d) leaves out between a block's convolutions (the paper: 0.3).
`wide_resnet50_2`: WRN-50-2-bottleneck of section 3.5, for 224 x 224 images: ResNet-50 whose 3x3 convolutions are twice
as wide, in the order of ResNet (convolution, norm, activation).
Departures: none from the code that was published with the paper.
Other sizes of pictures: see `small.py`; the stem of `wide_resnet50_2` is ResNet's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.errors import UsageError
from convlens.layers import ConvNormAct, ResidualBlock, he_initialise, make_shortcut, pooled_classifier, sequence
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register
from convlens.zoo.resnet import convolution, make_stem
from convlens.zoo.small import added_halvings, check_smallest

PAPER = Paper(
    family="wide_resnet",
    year=2016,
    title="Wide Residual Networks",
    authors="Zagoruyko, Komodakis",
    link="https://arxiv.org/abs/1605.07146",
)

# fmt: off
STEM_CHANNELS = 16
#           32 px  16   8 px
TABLE_1   = [16,   32,  64]                  # times the widening factor
STRIDES   = [1,    2,   2]
#           56 px     28          14           7 px
WRN_50_2  = [(128, 3), (256, 4),  (512, 6),   (1024, 3)]  # channels of the 3x3 convolutions, blocks
# fmt: on


class WideBlock(nn.Module):
    """y = residual(a) + x with a = relu(norm(x)), and projection(a) in the place of x where the shape changes."""

    def __init__(self, in_channels: int, channels: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.activate = sequence(norm=nn.BatchNorm2d(in_channels), act=nn.ReLU())
        self.residual = sequence(
            conv1=convolution(in_channels, channels, 3, stride),
            norm=nn.BatchNorm2d(channels),
            act=nn.ReLU(),
            dropout=nn.Dropout(dropout),
            conv2=convolution(channels, channels, 3),
        )
        changes = stride != 1 or in_channels != channels
        self.projection = convolution(in_channels, channels, 1, stride) if changes else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        activated = self.activate(x)
        return self.residual(activated) + (x if self.projection is None else self.projection(activated))


def make_wide_stem(in_channels: int, image_size: tuple[int, int]) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, 16, H, W); H / 2 above 32 px, H / 4 above 64 px."""
    halvings = added_halvings(image_size)
    stem = sequence(conv=convolution(in_channels, STEM_CHANNELS, 3, 2 if halvings else 1))
    if halvings == 2:
        stem.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
    return stem


class WideResNet(Network):
    """Three stages of (depth - 4) / 6 blocks, `widening` times as wide as those of ResNet for CIFAR."""

    def __init__(
        self,
        depth: int,
        widening: int,
        *,
        num_classes: int = 10,
        in_channels: int = 3,
        image_size: tuple[int, int] = (32, 32),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_smallest(f"wide_resnet{depth}_{widening}", image_size, 8)
        self.stem = make_wide_stem(in_channels, image_size)
        self.stages = nn.Sequential()
        from_channels = STEM_CHANNELS
        for channels, stride in zip(TABLE_1, STRIDES, strict=True):
            stage = nn.Sequential()
            for _ in range((depth - 4) // 6):
                stage.append(WideBlock(from_channels, channels * widening, stride, check_dropout(dropout)))
                from_channels, stride = channels * widening, 1
            self.stages.append(stage)
        self.stages.append(sequence(norm=nn.BatchNorm2d(from_channels), act=nn.ReLU()))
        self.head = pooled_classifier(from_channels, num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 32, 32)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


def check_dropout(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise UsageError(f"dropout is {value!r}, expected the share of values to leave out, 0 or more and below 1")
    return float(value)


def wide_bottleneck(in_channels: int, inner: int, stride: int) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, 2 inner, H / stride, W / stride)."""
    return sequence(
        reduce=ConvNormAct(in_channels, inner, 1),
        conv=ConvNormAct(inner, inner, 3, stride=stride),
        restore=ConvNormAct(inner, 2 * inner, 1, act=None),
    )


class WideResNet50(Network):
    """The four stages of ResNet-50 with 3x3 convolutions of twice the channels."""

    def __init__(
        self, *, num_classes: int = 1000, in_channels: int = 3, image_size: tuple[int, int] = (224, 224)
    ) -> None:
        super().__init__()
        check_smallest("wide_resnet50_2", image_size, 8)
        from_channels = 64
        self.stem = make_stem(in_channels, from_channels, image_size)
        self.stages = nn.Sequential()
        for number, (inner, count) in enumerate(WRN_50_2):
            stage = nn.Sequential()
            for index in range(count):
                stride = 2 if number and not index else 1
                shortcut = make_shortcut(from_channels, 2 * inner, stride)
                stage.append(ResidualBlock(wide_bottleneck(from_channels, inner, stride), shortcut))
                from_channels = 2 * inner
            self.stages.append(stage)
        self.head = pooled_classifier(from_channels, num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, WideResNet, resolution=32, num_classes=10)
def wide_resnet16_8(**options: Any) -> WideResNet:
    return WideResNet(16, 8, **options)


@register(PAPER, WideResNet, resolution=32, num_classes=10)
def wide_resnet28_10(**options: Any) -> WideResNet:
    return WideResNet(28, 10, **options)


@register(PAPER, WideResNet50)
def wide_resnet50_2(**options: Any) -> WideResNet50:
    return WideResNet50(**options)
