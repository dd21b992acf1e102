"""Inception v3 (Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, 2015), https://arxiv.org/abs/1512.00567.

Table 1 of the paper, for 299 x 299 images, in the form of the authors' published weights. (Those expect pixels scaled
to -1..1.)

Departures, all as in those weights: in the stem a 1x1 convolution and two poolings where table 1 has a 3x3 convolution
of 80 channels and strides; in figure 5 a 5x5 convolution where the paper has a single 3x3; in figure 10 no 1x1 before
the single 3x3 of the first reduction, and a 1x7 and 7x1 in the second. Left out is the auxiliary classifier, which only
training calls. He's initialisation, for the paper names none.
Small pictures: see `small.py`; below 75 px the stem's convolutions are padded, for they would leave no map.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from convlens.layers import he_initialise, pooled_classifier, sequence, set_batch_norm
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest, skipped_halvings

PAPER = Paper(
    family="inception_v3",
    year=2015,
    title="Rethinking the Inception Architecture for Computer Vision",
    authors="Szegedy, Vanhoucke, Ioffe, Shlens, Wojna",
    link="https://arxiv.org/abs/1512.00567",
)

# fmt: off
UNPADDED = 75  # the least side that unpadded convolutions can read
#    module,       its own channels, all channels
TABLE_1 = [
    ("figure 5",     (32,),           256),
    ("figure 5",     (64,),           288),
    ("figure 5",     (64,),           288),  # 35 px
    ("to 17 px",     (),              768),
    ("figure 6",     (128,),          768),
    ("figure 6",     (160,),          768),
    ("figure 6",     (160,),          768),
    ("figure 6",     (192,),          768),  # 17 px
    ("to 8 px",      (),             1280),
    ("figure 7",     (),             2048),
    ("figure 7",     (),             2048),  #  8 px
]
# fmt: on
Kernel = int | tuple[int, int]  # height, width


def convolution(
    in_channels: int, channels: int, kernel: Kernel, *, stride: int = 1, padded: bool = True
) -> nn.Sequential:
    """Convolution, batch normalisation and ReLU; without padding the map loses kernel - 1 pixels."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (height // 2, width // 2) if padded else 0
    conv = nn.Conv2d(in_channels, channels, (height, width), stride=stride, padding=padding, bias=False)
    return sequence(conv=conv, norm=nn.BatchNorm2d(channels), act=nn.ReLU())


def chain(in_channels: int, *layers: tuple[int, Kernel], halved: bool = False) -> nn.Sequential:
    """Convolutions of (channels, kernel) one after the other; the last of a halved chain has stride 2, unpadded."""
    built = nn.Sequential()
    for number, (channels, kernel) in enumerate(layers, start=1):
        stride = 2 if halved and number == len(layers) else 1
        built.append(convolution(in_channels, channels, kernel, stride=stride, padded=stride == 1))
        in_channels = channels
    return built


def averaged(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), convolution(in_channels, channels, 1))


class Branches(nn.ModuleList):
    """y = [branch(x) for every branch] along the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


def figure_5(in_channels: int, pooled: int) -> Branches:
    """(N, in_channels, H, W) -> (N, 224 + pooled, H, W)."""
    return Branches(
        chain(in_channels, (64, 1)),
        chain(in_channels, (48, 1), (64, 5)),
        chain(in_channels, (64, 1), (96, 3), (96, 3)),
        averaged(in_channels, pooled),
    )


def figure_6(in_channels: int, c: int) -> Branches:
    """(N, in_channels, H, W) -> (N, 768, H, W); 7x7 in two steps of c channels."""
    tall, wide = (7, 1), (1, 7)
    return Branches(
        chain(in_channels, (192, 1)),
        chain(in_channels, (c, 1), (c, wide), (192, tall)),
        chain(in_channels, (c, 1), (c, tall), (c, wide), (c, tall), (192, wide)),
        averaged(in_channels, 192),
    )


def spread(in_channels: int) -> Branches:
    """1x3 and 3x1 side by side."""
    return Branches(convolution(in_channels, 384, (1, 3)), convolution(in_channels, 384, (3, 1)))


def figure_7(in_channels: int) -> Branches:
    """(N, in_channels, H, W) -> (N, 2048, H, W)."""
    return Branches(
        chain(in_channels, (320, 1)),
        chain(in_channels, (384, 1)).append(spread(384)),
        chain(in_channels, (448, 1), (384, 3)).append(spread(384)),
        averaged(in_channels, 192),
    )


def to_17_px(in_channels: int) -> Branches:
    """(N, in_channels, 35, 35) -> (N, 480 + in_channels, 17, 17), figure 10."""
    return Branches(
        chain(in_channels, (384, 3), halved=True),
        chain(in_channels, (64, 1), (96, 3), (96, 3), halved=True),
        nn.MaxPool2d(3, stride=2),
    )


def to_8_px(in_channels: int) -> Branches:
    """(N, in_channels, 17, 17) -> (N, 512 + in_channels, 8, 8), figure 10."""
    return Branches(
        chain(in_channels, (192, 1), (320, 3), halved=True),
        chain(in_channels, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3), halved=True),
        nn.MaxPool2d(3, stride=2),
    )


MODULES: dict[str, Callable[..., Branches]] = {
    "figure 5": figure_5,
    "figure 6": figure_6,
    "figure 7": figure_7,
    "to 17 px": to_17_px,
    "to 8 px": to_8_px,
}


def make_stem(in_channels: int, image_size: tuple[int, int]) -> nn.Sequential:
    """(N, in_channels, 299, 299) -> (N, 192, 35, 35); the first two halvings fall out for small pictures."""
    skipped, padded = skipped_halvings(image_size), min(image_size) < UNPADDED
    return sequence(
        conv1=convolution(in_channels, 32, 3, stride=1 if skipped else 2, padded=padded),
        conv2=convolution(32, 32, 3, padded=padded),
        conv3=convolution(32, 64, 3),
        pool3=nn.Identity() if skipped == 2 else nn.MaxPool2d(3, stride=2),
        conv4=convolution(64, 80, 1),
        conv5=convolution(80, 192, 3, padded=padded),
        pool5=nn.MaxPool2d(3, stride=2),
    )


class InceptionV3(Network):
    """The stem, eleven modules and one Linear layer."""

    def __init__(
        self, *, num_classes: int = 1000, in_channels: int = 3, image_size: tuple[int, int] = (299, 299)
    ) -> None:
        super().__init__()
        check_smallest("inception_v3", image_size, 15)
        self.stem = make_stem(in_channels, image_size)
        self.stages, from_channels = nn.Sequential(), 192
        for module, own_channels, all_channels in TABLE_1:
            self.stages.append(MODULES[module](from_channels, *own_channels))
            from_channels = all_channels
        self.head = pooled_classifier(from_channels, num_classes, dropout=0.5)
        set_batch_norm(self, eps=1e-3, momentum=0.1)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 299, 299)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, InceptionV3, resolution=299)
def inception_v3(**options: Any) -> InceptionV3:
    return InceptionV3(**options)
