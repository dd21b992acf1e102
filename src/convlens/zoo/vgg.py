"""VGG (Simonyan and Zisserman, 2014), https://arxiv.org/abs/1409.1556.

Table 1 of the paper, for 224 x 224 images; _bn normalises after every convolution (Ioffe and Szegedy, 2015).
Departure: He's initialisation, where the paper started the deep networks from trained shallow ones.
Small pictures: see `small.py`; the three wide Linear layers become one on the global average.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import LocalResponseNorm, he_initialise, pooled_classifier, sequence
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest, is_small, skipped_halvings

PAPER = Paper(
    family="vgg",
    year=2014,
    title="Very Deep Convolutional Networks for Large-Scale Image Recognition",
    authors="Simonyan, Zisserman",
    link="https://arxiv.org/abs/1409.1556",
)

# fmt: off
WIDTHS = [64, 128, 256, 512, 512]
#           224 px    112       56            28            14 px      kernel sizes
TABLE_1 = {
    "A": [[3],       [3],      [3, 3],       [3, 3],       [3, 3]],
    "B": [[3, 3],    [3, 3],   [3, 3],       [3, 3],       [3, 3]],
    "C": [[3, 3],    [3, 3],   [3, 3, 1],    [3, 3, 1],    [3, 3, 1]],
    "D": [[3, 3],    [3, 3],   [3, 3, 3],    [3, 3, 3],    [3, 3, 3]],
    "E": [[3, 3],    [3, 3],   [3, 3, 3, 3], [3, 3, 3, 3], [3, 3, 3, 3]],
}
# fmt: on


def convolution(in_channels: int, channels: int, kernel: int, batch_norm: bool) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, channels, H, W)."""
    conv = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2)
    if batch_norm:
        return sequence(conv=conv, norm=nn.BatchNorm2d(channels), act=nn.ReLU())
    return sequence(conv=conv, act=nn.ReLU())


def dense_head(num_classes: int) -> nn.Sequential:
    """(N, 512, H, W) -> (N, num_classes); maps that are not 7 x 7 are averaged to it."""
    return sequence(
        pool=nn.AdaptiveAvgPool2d(7),
        flatten=nn.Flatten(),
        linear1=nn.Linear(512 * 7 * 7, 4096),
        act1=nn.ReLU(),
        dropout1=nn.Dropout(0.5),
        linear2=nn.Linear(4096, 4096),
        act2=nn.ReLU(),
        dropout2=nn.Dropout(0.5),
        linear3=nn.Linear(4096, num_classes),
    )


class VGG(Network):
    """Five stages of 3 x 3 convolutions, each followed by 2 x 2 max pooling."""

    def __init__(
        self,
        column: str,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
    ) -> None:
        super().__init__()
        check_smallest(f"vgg ({column})", image_size, 8)
        letter, _, norm = column.partition("-")
        num_poolings = 5 - skipped_halvings(image_size)
        self.stages = nn.Sequential()
        for number, (channels, kernels) in enumerate(zip(WIDTHS, TABLE_1[letter], strict=True)):
            stage = nn.Sequential()
            for kernel in kernels:
                stage.append(convolution(in_channels, channels, kernel, batch_norm="BN" in norm))
                in_channels = channels
            if number == 0 and "LRN" in norm:
                stage.append(LocalResponseNorm())
            if number < num_poolings:
                stage.append(nn.MaxPool2d(2))
            self.stages.append(stage)
        self.head = pooled_classifier(512, num_classes) if is_small(image_size) else dense_head(num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(images))  # (N, num_classes), logits


@register(PAPER, VGG)
def vgg11(**options: Any) -> VGG:
    return VGG("A", **options)


@register(PAPER, VGG)
def vgg11_bn(**options: Any) -> VGG:
    return VGG("A-BN", **options)


@register(PAPER, VGG)
def vgg11_lrn(**options: Any) -> VGG:
    return VGG("A-LRN", **options)


@register(PAPER, VGG)
def vgg11_lrn_bn(**options: Any) -> VGG:
    return VGG("A-LRN+BN", **options)


@register(PAPER, VGG)
def vgg13(**options: Any) -> VGG:
    return VGG("B", **options)


@register(PAPER, VGG)
def vgg13_bn(**options: Any) -> VGG:
    return VGG("B-BN", **options)


@register(PAPER, VGG)
def vgg16_c(**options: Any) -> VGG:
    return VGG("C", **options)


@register(PAPER, VGG)
def vgg16_c_bn(**options: Any) -> VGG:
    return VGG("C-BN", **options)


@register(PAPER, VGG)
def vgg16(**options: Any) -> VGG:
    return VGG("D", **options)


@register(PAPER, VGG)
def vgg16_bn(**options: Any) -> VGG:
    return VGG("D-BN", **options)


@register(PAPER, VGG)
def vgg19(**options: Any) -> VGG:
    return VGG("E", **options)


@register(PAPER, VGG)
def vgg19_bn(**options: Any) -> VGG:
    return VGG("E-BN", **options)
