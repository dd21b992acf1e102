"""SE-ResNet (Hu, Shen, Albanie, Sun and Wu, 2017), https://arxiv.org/abs/1709.01507.

The middle column of table 1 of the paper, SE-ResNet-50, for 224 x 224 images: ResNet's bottleneck, whose residual is
weighted channel by channel before it is added (figure 3). The squeeze keeps one channel in 16.
Departures: the stride of a bottleneck sits on its 3x3 convolution, as in `resnet.py`; the squeezed channels of a narrow
network are rounded to a multiple of 8.
`width` and small pictures: as in `resnet.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import (
    ResidualBlock,
    SqueezeExcite,
    he_initialise,
    make_shortcut,
    pooled_classifier,
    round_channels,
)
from convlens.zoo.architecture import Network, check_width
from convlens.zoo.registry import Paper, register
from convlens.zoo.resnet import WIDTHS, bottleneck, make_stem
from convlens.zoo.small import check_smallest

PAPER = Paper(
    family="se_resnet",
    year=2017,
    title="Squeeze-and-Excitation Networks",
    authors="Hu, Shen, Albanie, Sun, Wu",
    link="https://arxiv.org/abs/1709.01507",
)

# fmt: off
REDUCTION, EXPANSION = 16, 4
#      56 px  28  14  7 px
TABLE_1 = {
    50: [3,   4,  6,  3],
}
# fmt: on


def gated_bottleneck(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    """gate(residual(x)) * residual(x), figure 3: four times the channels come out."""
    residual = bottleneck(in_channels, channels, stride)
    wide = channels * EXPANSION
    residual.add_module("squeeze_excite", SqueezeExcite(wide, round_channels(wide / REDUCTION)))
    return residual


class SEResNet(Network):
    """Four stages; each but the first halves the maps in its first block."""

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        width: float = 1.0,
    ) -> None:
        super().__init__()
        check_smallest(f"se_resnet{depth}", image_size, 8)
        widths = [round_channels(channels * check_width(width)) for channels in WIDTHS]
        self.stem = make_stem(in_channels, widths[0], image_size)
        self.stages = nn.Sequential()
        from_channels = widths[0]
        for number, (channels, count) in enumerate(zip(widths, TABLE_1[depth], strict=True)):
            stage = nn.Sequential()
            for index in range(count):
                stride = 2 if number and not index else 1
                shortcut = make_shortcut(from_channels, channels * EXPANSION, stride)
                stage.append(ResidualBlock(gated_bottleneck(from_channels, channels, stride), shortcut))
                from_channels = channels * EXPANSION
            self.stages.append(stage)
        self.head = pooled_classifier(from_channels, num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, SEResNet)
def se_resnet50(**options: Any) -> SEResNet:
    return SEResNet(50, **options)
