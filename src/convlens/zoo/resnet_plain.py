"""The plain networks of the ResNet paper (He, Zhang, Ren and Sun, 2015), https://arxiv.org/abs/1512.03385.

Table 1 without shortcuts, figure 3 middle, for 224 x 224 images: what ResNet-18 and 34 are compared with in table 2,
where the deeper of the two is the worse. Layer for layer the same but for the sums; parameters those of option A.
`width` multiplies every channel count, as in ResNet.
Small pictures: see `small.py`; the stem is ResNet's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import he_initialise, pooled_classifier, round_channels
from convlens.zoo.architecture import Network, check_width
from convlens.zoo.registry import register
from convlens.zoo.resnet import PAPER, WIDTHS, basic, make_stem
from convlens.zoo.small import check_smallest

# fmt: off
#       56 px  28  14  7 px
TABLE_1 = {
    18:  [2,   2,  2,  2],
    34:  [3,   4,  6,  3],
}
# fmt: on


def block(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    """y = relu(residual(x)): (N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
    layers = basic(in_channels, channels, stride)
    layers.add_module("act2", nn.ReLU())
    return layers


class PlainNetwork(Network):
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
        check_smallest(f"plain{depth}", image_size, 8)
        widths = [round_channels(channels * check_width(width)) for channels in WIDTHS]
        self.stem = make_stem(in_channels, widths[0], image_size)
        self.stages = nn.Sequential()
        from_channels = widths[0]
        for number, (channels, count) in enumerate(zip(widths, TABLE_1[depth], strict=True)):
            stage = nn.Sequential()
            for index in range(count):
                stage.append(block(from_channels, channels, stride=2 if number and not index else 1))
                from_channels = channels
            self.stages.append(stage)
        self.head = pooled_classifier(from_channels, num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, PlainNetwork)
def plain18(**options: Any) -> PlainNetwork:
    return PlainNetwork(18, **options)


@register(PAPER, PlainNetwork)
def plain34(**options: Any) -> PlainNetwork:
    return PlainNetwork(34, **options)
