"""DenseNet (Huang, Liu, van der Maaten and Weinberger, 2016), https://arxiv.org/abs/1608.06993.

Table 1 of the paper, for 224 x 224 images, and section 3's DenseNet-BC of 100 layers with a growth of 12 for CIFAR.
Every layer sees the maps of all layers before it in its block and adds `growth` of its own. Both networks have
bottlenecks (B) and transitions that halve the maps' number (C).
Departures: 161, with a growth of 48, is that of the published weights, which stands in earlier versions of the paper;
CIFAR's dropout of 0.2, for training without augmentation, is left out.
Small pictures: see `small.py`; DenseNet-BC, drawn for 32 px, halves larger ones in its first convolution.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import he_initialise, pooled_classifier, sequence
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register
from convlens.zoo.resnet import convolution, make_stem
from convlens.zoo.small import TINY, check_smallest, is_small

PAPER = Paper(
    family="densenet",
    year=2016,
    title="Densely Connected Convolutional Networks",
    authors="Huang, Liu, van der Maaten, Weinberger",
    link="https://arxiv.org/abs/1608.06993",
)

# fmt: off
BOTTLENECK, COMPRESSION = 4, 2
#      growth, first maps      56 px  28  14   7 px     layers in each block
TABLE_1 = {
    121: (32,      64,           [6, 12, 24, 16]),
    161: (48,      96,           [6, 12, 36, 24]),
    169: (32,      64,           [6, 12, 32, 32]),
    201: (32,      64,           [6, 12, 48, 32]),
}
#                                32  16  8 px
CIFAR_100 = (12,   24,          [16, 16, 16])
# fmt: on


class DenseLayer(nn.Module):
    """y = [x, H(x)], equation 2: x holds all maps before, H adds `growth` new ones through a bottleneck."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.new_maps = sequence(
            norm1=nn.BatchNorm2d(in_channels),
            act1=nn.ReLU(),
            conv1=convolution(in_channels, BOTTLENECK * growth, 1),
            norm2=nn.BatchNorm2d(BOTTLENECK * growth),
            act2=nn.ReLU(),
            conv2=convolution(BOTTLENECK * growth, growth, 3),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((x, self.new_maps(x)), dim=1)


def transition(channels: int) -> nn.Sequential:
    """(N, C, H, W) -> (N, C / 2, H / 2, W / 2)."""
    return sequence(
        norm=nn.BatchNorm2d(channels),
        act=nn.ReLU(),
        conv=convolution(channels, channels // COMPRESSION, 1),
        pool=nn.AvgPool2d(2),
    )


def dense_stages(channels: int, growth: int, counts: list[int]) -> tuple[nn.Sequential, int]:
    """The dense blocks with transitions between them and a norm behind, and the number of maps that they end with."""
    stages = nn.Sequential()
    for number, count in enumerate(counts):
        stage = nn.Sequential()
        if number:
            stage.append(transition(channels))
            channels //= COMPRESSION
        for _ in range(count):
            stage.append(DenseLayer(channels, growth))
            channels += growth
        stages.append(stage)
    stages.append(sequence(norm=nn.BatchNorm2d(channels), act=nn.ReLU()))
    return stages, channels


class DenseNet(Network):
    """Four dense blocks; the stem is ResNet's."""

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
    ) -> None:
        super().__init__()
        check_smallest(f"densenet{depth}", image_size, 8)
        growth, channels, counts = TABLE_1[depth]
        self.stem = make_stem(in_channels, channels, image_size)
        self.stages, channels = dense_stages(channels, growth, counts)
        self.head = pooled_classifier(channels, num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


class DenseNetForCifar(Network):
    """Three dense blocks behind one 3x3 convolution."""

    def __init__(self, *, num_classes: int = 10, in_channels: int = 3, image_size: tuple[int, int] = (32, 32)) -> None:
        super().__init__()
        check_smallest("densenet_bc_100_12", image_size, 8)
        growth, channels, counts = CIFAR_100
        self.stem = sequence(conv=convolution(in_channels, channels, 3, 1 if min(image_size) <= TINY else 2))
        if not is_small(image_size):
            self.stem.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
        self.stages, channels = dense_stages(channels, growth, counts)
        self.head = pooled_classifier(channels, num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 32, 32)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, DenseNet)
def densenet121(**options: Any) -> DenseNet:
    return DenseNet(121, **options)


@register(PAPER, DenseNet)
def densenet161(**options: Any) -> DenseNet:
    return DenseNet(161, **options)


@register(PAPER, DenseNet)
def densenet169(**options: Any) -> DenseNet:
    return DenseNet(169, **options)


@register(PAPER, DenseNet)
def densenet201(**options: Any) -> DenseNet:
    return DenseNet(201, **options)


@register(PAPER, DenseNetForCifar, resolution=32, num_classes=10)
def densenet_bc_100_12(**options: Any) -> DenseNetForCifar:
    return DenseNetForCifar(**options)
