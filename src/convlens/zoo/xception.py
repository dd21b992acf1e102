"""Xception (Chollet, 2016), https://arxiv.org/abs/1610.02357.

Figure 5 of the paper, for 299 x 299 images: every convolution after the stem is depthwise, 3x3, then pointwise, 1x1,
with no activation between (section 4.7), but for the shortcuts, which are plain 1x1 convolutions where the shape
changes. Batch normalisation follows all of them (left out in the figure). Half of the last features are dropped in
training, as in the paper's ImageNet experiments.
Departures: the stem's two convolutions are unpadded, as in the author's code; He's initialisation, for the paper names
none.
Small pictures: see `small.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import he_initialise, pooled_classifier, sequence
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest, gentle_strides

PAPER = Paper(
    family="xception",
    year=2016,
    title="Xception: Deep Learning with Depthwise Separable Convolutions",
    authors="Chollet",
    link="https://arxiv.org/abs/1610.02357",
)

# fmt: off
STEM = [32, 64]  # the first with stride 2
#    channels of a block's convolutions, stride, blocks
FIGURE_5 = [
    ([128, 128],                            2,      1),  # entry flow
    ([256, 256],                            2,      1),
    ([728, 728],                            2,      1),
    ([728, 728, 728],                       1,      8),  # middle flow
    ([728, 1024],                           2,      1),  # exit flow
]
LAST = [1536, 2048]
# fmt: on


def separable(in_channels: int, channels: int) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, channels, H, W): each channel by itself, then each pixel."""
    return sequence(
        depthwise=nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
        pointwise=nn.Conv2d(in_channels, channels, 1, bias=False),
        norm=nn.BatchNorm2d(channels),
    )


class Block(nn.Module):
    """y = residual(x) + shortcut(x); the shortcut is a 1x1 convolution where the shape changes."""

    def __init__(self, in_channels: int, channels: list[int], stride: int, activated: bool) -> None:
        super().__init__()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels[-1]:
            conv = nn.Conv2d(in_channels, channels[-1], 1, stride=stride, bias=False)
            self.shortcut = sequence(conv=conv, norm=nn.BatchNorm2d(channels[-1]))
        self.residual = nn.Sequential()
        for number, out_channels in enumerate(channels):
            if number or activated:  # what the stem gives is activated already
                self.residual.append(nn.ReLU())
            self.residual.append(separable(in_channels, out_channels))
            in_channels = out_channels
        if stride != 1:
            self.residual.append(nn.MaxPool2d(3, stride=stride, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.residual(x) + self.shortcut(x)


def make_stem(in_channels: int, stride: int) -> nn.Sequential:
    """(N, in_channels, 299, 299) -> (N, 64, 147, 147)."""
    return sequence(
        conv1=nn.Conv2d(in_channels, STEM[0], 3, stride=stride, bias=False),
        norm1=nn.BatchNorm2d(STEM[0]),
        act1=nn.ReLU(),
        conv2=nn.Conv2d(STEM[0], STEM[1], 3, bias=False),
        norm2=nn.BatchNorm2d(STEM[1]),
        act2=nn.ReLU(),
    )


class Xception(Network):
    """Twelve blocks, two separable convolutions and one Linear layer."""

    def __init__(
        self, *, num_classes: int = 1000, in_channels: int = 3, image_size: tuple[int, int] = (299, 299)
    ) -> None:
        super().__init__()
        check_smallest("xception", image_size, 8)
        stem_stride, *strides = gentle_strides([2, *(stride for _, stride, _ in FIGURE_5)], image_size)
        self.stem = make_stem(in_channels, stem_stride)
        self.stages, from_channels = nn.Sequential(), STEM[-1]
        for (channels, _, count), stride in zip(FIGURE_5, strides, strict=True):
            stage = nn.Sequential()
            for _ in range(count):
                stage.append(Block(from_channels, channels, stride, activated=len(self.stages) > 0))
                from_channels = channels[-1]
            self.stages.append(stage)
        last = nn.Sequential()
        for out_channels in LAST:
            last.append(separable(from_channels, out_channels)).append(nn.ReLU())
            from_channels = out_channels
        self.stages.append(last)
        self.head = pooled_classifier(from_channels, num_classes, dropout=0.5)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 299, 299)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, Xception, resolution=299)
def xception(**options: Any) -> Xception:
    return Xception(**options)
