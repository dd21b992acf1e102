"""SqueezeNet (Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer, 2016), https://arxiv.org/abs/1602.07360.

`squeezenet1_0`: table 1 of the paper. `squeezenet1_1`: the authors' second version, which has a smaller first
convolution and pools earlier, for 2.4 times less work (https://github.com/forresti/SqueezeNet).

Departures: 224 px give a first map of 109 x 109, for nothing is padded there; the table's 111 x 111 belong to 227 px.
He's initialisation, and a deviation of 0.01 in the last convolution.
Small pictures: see `small.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import he_initialise, sequence
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest, gentle_strides

PAPER = Paper(
    family="squeezenet",
    year=2016,
    title="SqueezeNet: AlexNet-Level Accuracy with 50x Fewer Parameters and <0.5MB Model Size",
    authors="Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer",
    link="https://arxiv.org/abs/1602.07360",
)

# fmt: off
EXPANSION = 4  # channels of each of a fire module's expansions, for one of its squeeze
#       conv1: channels, kernel     54 px             27 px             13 px     squeeze channels, pooled between
TABLE_1 = {
    "1.0": (         96,      7,  [[16, 16, 32],     [32, 48, 48, 64], [64]]),
    "1.1": (         64,      3,  [[16, 16],         [32, 32],         [48, 48, 64, 64]]),
}
# fmt: on


class Fire(nn.Module):
    """y = [relu(expand1x1(s)), relu(expand3x3(s))] with s = relu(squeeze(x)), figure 1."""

    def __init__(self, in_channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, squeezed * EXPANSION, 1)
        self.expand3x3 = nn.Conv2d(squeezed, squeezed * EXPANSION, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squeezed = self.act(self.squeeze(x))
        return self.act(torch.cat((self.expand1x1(squeezed), self.expand3x3(squeezed)), dim=1))


def pooling() -> nn.MaxPool2d:
    """(N, C, H, W) -> (N, C, ceil((H - 1) / 2), ceil((W - 1) / 2))."""
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


class SqueezeNet(Network):
    """Eight fire modules, and a classifier that is a convolution averaged over the picture."""

    def __init__(
        self,
        version: str,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
    ) -> None:
        super().__init__()
        from_channels, kernel, stages = TABLE_1[version]
        check_smallest(f"squeezenet {version}", image_size, kernel + 3)
        stride, *pools = gentle_strides([2] * 4, image_size)
        self.stem = sequence(conv=nn.Conv2d(in_channels, from_channels, kernel, stride=stride), act=nn.ReLU())
        self.stages = nn.Sequential()
        for squeezes, pool in zip(stages, pools, strict=True):
            stage = nn.Sequential()
            if pool == 2:
                stage.append(pooling())
            for squeezed in squeezes:
                stage.append(Fire(from_channels, squeezed))
                from_channels = 2 * squeezed * EXPANSION
            self.stages.append(stage)
        self.head = convolutional_classifier(from_channels, num_classes)
        he_initialise(self)
        nn.init.normal_(self.head.get_parameter("conv.weight"), std=0.01)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits, none below 0


def convolutional_classifier(channels: int, num_classes: int) -> nn.Sequential:
    """(N, channels, H, W) -> (N, num_classes): a map for each class, rectified, then its average."""
    return sequence(
        dropout=nn.Dropout(0.5),
        conv=nn.Conv2d(channels, num_classes, 1),
        act=nn.ReLU(),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
    )


@register(PAPER, SqueezeNet)
def squeezenet1_0(**options: Any) -> SqueezeNet:
    return SqueezeNet("1.0", **options)


@register(PAPER, SqueezeNet)
def squeezenet1_1(**options: Any) -> SqueezeNet:
    return SqueezeNet("1.1", **options)
