"""AlexNet (Krizhevsky, Sutskever and Hinton, 2012), https://papers.nips.cc/paper/4824.

`alexnet_paper`: figure 2 of the paper, its two GPUs as two groups, with local response normalisation (section 3.3) and
overlapping pooling (3.4). `alexnet`: the single tower of "One weird trick for parallelizing convolutional neural
networks" (Krizhevsky, 2014), https://arxiv.org/abs/1404.5997, without groups and normalisation.

Departures: the fourth convolution of `alexnet` has 256 filters, as in its author's code (cuda-convnet2) and in the
published weights; a footnote of the paper counts 64, 192, 384, 384, 256. Dropout stands before the first two Linear
layers, as in those weights, not behind them. 224 px with a padding of 2 give the 55 x 55 maps of the figure, whose own
numbers do not (227 px without padding would). He's initialisation, for the paper's deviation of 0.01 and biases of 1
count on pixels up to 255.
Small pictures: see `small.py`; the three wide Linear layers become one on the global average.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import LocalResponseNorm, he_initialise, pooled_classifier, sequence
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import TINY, check_smallest, is_small

PAPER = Paper(
    family="alexnet",
    year=2012,
    title="ImageNet Classification with Deep Convolutional Neural Networks",
    authors="Krizhevsky, Sutskever, Hinton",
    link="https://papers.nips.cc/paper/4824",
)
TOWER = Paper(
    family="alexnet",
    year=2014,
    title="One Weird Trick for Parallelizing Convolutional Neural Networks",
    authors="Krizhevsky",
    link="https://arxiv.org/abs/1404.5997",
)

# fmt: off
#        channels, kernel, groups, normalised, pooled
FIGURE_2 = [
    (    96,       11,     1,      True,       True),
    (    256,      5,      2,      True,       True),
    (    384,      3,      1,      False,      False),
    (    384,      3,      2,      False,      False),
    (    256,      3,      2,      False,      True),
]
ONE_TOWER = [
    (    64,       11,     1,      False,      True),
    (    192,      5,      1,      False,      True),
    (    384,      3,      1,      False,      False),
    (    256,      3,      1,      False,      False),
    (    256,      3,      1,      False,      True),
]
# fmt: on
Row = tuple[int, int, int, bool, bool]


def first_convolution(in_channels: int, channels: int, image_size: tuple[int, int]) -> nn.Conv2d:
    """11 x 11 with stride 4, which gives 55 px of 224; 5 x 5 for small pictures."""
    if is_small(image_size):
        return nn.Conv2d(in_channels, channels, 5, stride=1 if min(image_size) <= TINY else 2, padding=2)
    return nn.Conv2d(in_channels, channels, 11, stride=4, padding=2)


def stage(conv: nn.Conv2d, normalised: bool, pooled: bool) -> nn.Sequential:
    """Convolution, ReLU, then as the row says normalisation and 3 x 3 pooling at every second pixel."""
    built = sequence(conv=conv, act=nn.ReLU())
    if normalised:
        built.add_module("norm", LocalResponseNorm())
    if pooled:
        built.add_module("pool", nn.MaxPool2d(3, stride=2))
    return built


def stages(rows: list[Row], in_channels: int, image_size: tuple[int, int]) -> nn.Sequential:
    """(N, in_channels, 224, 224) -> (N, 256, 6, 6)."""
    built = nn.Sequential()
    for number, (channels, kernel, groups, normalised, pooled) in enumerate(rows):
        conv = (
            nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, groups=groups)
            if number
            else first_convolution(in_channels, channels, image_size)
        )
        built.append(stage(conv, normalised, pooled))
        in_channels = channels
    return built


def dense_head(num_classes: int) -> nn.Sequential:
    """(N, 256, H, W) -> (N, num_classes); maps that are not 6 x 6 are averaged to it."""
    return sequence(
        pool=nn.AdaptiveAvgPool2d(6),
        flatten=nn.Flatten(),
        dropout1=nn.Dropout(0.5),
        linear1=nn.Linear(256 * 6 * 6, 4096),
        act1=nn.ReLU(),
        dropout2=nn.Dropout(0.5),
        linear2=nn.Linear(4096, 4096),
        act2=nn.ReLU(),
        linear3=nn.Linear(4096, num_classes),
    )


class AlexNet(Network):
    """The single tower."""

    def __init__(
        self, *, num_classes: int = 1000, in_channels: int = 3, image_size: tuple[int, int] = (224, 224)
    ) -> None:
        super().__init__()
        check_smallest("alexnet", image_size, 16)
        self.stages = stages(ONE_TOWER, in_channels, image_size)
        self.head = pooled_classifier(256, num_classes) if is_small(image_size) else dense_head(num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(images))  # (N, num_classes), logits


class AlexNetOfThePaper(Network):
    """The two groups, which meet in the third convolution and in the Linear layers."""

    def __init__(
        self, *, num_classes: int = 1000, in_channels: int = 3, image_size: tuple[int, int] = (224, 224)
    ) -> None:
        super().__init__()
        check_smallest("alexnet_paper", image_size, 16)
        self.stages = stages(FIGURE_2, in_channels, image_size)
        self.head = pooled_classifier(256, num_classes) if is_small(image_size) else dense_head(num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(images))  # (N, num_classes), logits


@register(PAPER, AlexNetOfThePaper)
def alexnet_paper(**options: Any) -> AlexNetOfThePaper:
    return AlexNetOfThePaper(**options)


@register(TOWER, AlexNet)
def alexnet(**options: Any) -> AlexNet:
    return AlexNet(**options)
