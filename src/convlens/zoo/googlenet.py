"""GoogLeNet, or Inception v1 (Szegedy et al., 2014), https://arxiv.org/abs/1409.4842.

Table 1 of the paper, for 224 x 224 images. `googlenet_paper` is the network of the paper: biases, no batch norm, local
response normalisation around the two convolutions of the stem (figure 3). `googlenet` is that of the published weights:
batch normalisation, 3x3 convolutions where the table has 5x5, a 2x2 pooling before module 5a, less dropout. (Those
weights expect pixels scaled to -1..1.)

`auxiliary=True` adds the two classifiers of section 5 on modules 4a and 4d, which `training_logits` calls in one pass;
`forward` never does, and the counts are without them.

Departures: the paper names no constants of its normalisation and no initialisation; these are AlexNet's and He's. An
auxiliary classifier averages a map that is not 14 x 14 to its 4 x 4, as that of `googlenet` does for every map.
Small pictures: see `small.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from convlens.layers import ConvNormAct, LocalResponseNorm, he_initialise, pooled_classifier, sequence, set_batch_norm
from convlens.zoo.architecture import Network, check_switch
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest, skipped_halvings

PAPER = Paper(
    family="googlenet",
    year=2014,
    title="Going Deeper with Convolutions",
    authors="Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich",
    link="https://arxiv.org/abs/1409.4842",
)

# fmt: off
#         1x1, reduce, 3x3, reduce, 5x5, projection of the pooling
TABLE_1 = {
    "3a": (64,     96, 128,     16,  32,  32),
    "3b": (128,   128, 192,     32,  96,  64),  # pooled
    "4a": (192,    96, 208,     16,  48,  64),  # classified
    "4b": (160,   112, 224,     24,  64,  64),
    "4c": (128,   128, 256,     24,  64,  64),
    "4d": (112,   144, 288,     32,  64,  64),  # classified
    "4e": (256,   160, 320,     32, 128, 128),  # pooled
    "5a": (256,   160, 320,     32, 128, 128),
    "5b": (384,   192, 384,     48, 128, 128),
}
#              channels
CLASSIFIED = {"4a": 512, "4d": 528}
# fmt: on
Row = tuple[int, int, int, int, int, int]
Unit = Callable[..., nn.Module]  # a convolution, its activation, and what stands between


def convolution(in_channels: int, channels: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
    conv = nn.Conv2d(in_channels, channels, kernel, stride=stride, padding=kernel // 2)
    return sequence(conv=conv, act=nn.ReLU())


def pooling(kernel: int) -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel, stride=2, ceil_mode=True)


class Inception(nn.Module):
    """y = [1x1(x), 3x3(1x1(x)), 5x5(1x1(x)), 1x1(pool(x))] along the channels, figure 2b."""

    def __init__(self, in_channels: int, row: Row, unit: Unit, largest: int) -> None:
        super().__init__()
        single, reduce3, channels3, reduce5, channels5, projection = row
        self.single = unit(in_channels, single, 1)
        self.medium = nn.Sequential(unit(in_channels, reduce3, 1), unit(reduce3, channels3, 3))
        self.large = nn.Sequential(unit(in_channels, reduce5, 1), unit(reduce5, channels5, largest))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), unit(in_channels, projection, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.single(x), self.medium(x), self.large(x), self.pooled(x)], dim=1)


def make_stem(in_channels: int, image_size: tuple[int, int], unit: Unit, norm: type[nn.Module]) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, 192, H / 8, W / 8); the first two halvings fall out for small pictures."""
    skipped = skipped_halvings(image_size)
    return sequence(
        conv1=unit(in_channels, 64, 7, stride=1 if skipped else 2),
        pool1=nn.Identity() if skipped == 2 else pooling(3),
        norm1=norm(),
        reduce=unit(64, 64, 1),
        conv2=unit(64, 192, 3),
        norm2=norm(),
        pool2=pooling(3),
    )


def make_stages(unit: Unit, largest: int, last_pooling: int) -> nn.Sequential:
    """(N, 192, H, W) -> (N, 1024, H / 4, W / 4): the nine modules by their names in the table, and two poolings."""
    stages, channels = nn.Sequential(), 192
    for name, row in TABLE_1.items():
        stages.add_module(name, Inception(channels, row, unit, largest))
        channels = row[0] + row[2] + row[4] + row[5]
        if name in ("3b", "4e"):
            stages.add_module(f"pool{name[0]}", pooling(3 if name == "3b" else last_pooling))
    return stages


def auxiliary_heads(pool: nn.Module, unit: Unit, num_classes: int) -> nn.ModuleDict:
    """The classifier after each module that is classified: (N, channels, H, W) -> (N, num_classes)."""
    heads = nn.ModuleDict()
    for name, channels in CLASSIFIED.items():
        heads[name] = sequence(
            pool=pool,
            reduce=unit(channels, 128, 1),
            flatten=nn.Flatten(),
            linear1=nn.Linear(128 * 4 * 4, 1024),
            act=nn.ReLU(),
            dropout=nn.Dropout(0.7),
            linear2=nn.Linear(1024, num_classes),
        )
    return heads


class InceptionNetwork(Network):
    """The stem, nine modules and one Linear layer; with `auxiliary`, two classifiers on the way."""

    stem: nn.Module
    auxiliary: nn.ModuleDict | None

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits

    def training_logits(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The logits, then those of each auxiliary classifier; the paper adds the losses of these times 0.3."""
        x, auxiliary = self.stem(images), []
        for name, block in self.stages.named_children():
            x = block(x)
            if self.auxiliary is not None and name in self.auxiliary:
                auxiliary.append(self.auxiliary[name](x))
        return [self.head(x), *auxiliary]


class GoogLeNetOfThePaper(InceptionNetwork):
    """Biases and local response normalisation."""

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        check_smallest("googlenet_paper", image_size, 8)
        check_switch("auxiliary", auxiliary)
        self.stem = make_stem(in_channels, image_size, convolution, LocalResponseNorm)
        self.stages = make_stages(convolution, largest=5, last_pooling=3)
        pool = nn.AvgPool2d(5, stride=3) if image_size == (224, 224) else nn.AdaptiveAvgPool2d(4)
        self.auxiliary = auxiliary_heads(pool, convolution, num_classes) if auxiliary else None
        self.head = pooled_classifier(1024, num_classes, dropout=0.4)
        he_initialise(self, mode="fan_in")


class GoogLeNet(InceptionNetwork):
    """Batch normalisation, and 3x3 in place of 5x5."""

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        check_smallest("googlenet", image_size, 8)
        check_switch("auxiliary", auxiliary)
        self.stem = make_stem(in_channels, image_size, ConvNormAct, nn.Identity)
        self.stages = make_stages(ConvNormAct, largest=3, last_pooling=2)
        self.auxiliary = auxiliary_heads(nn.AdaptiveAvgPool2d(4), ConvNormAct, num_classes) if auxiliary else None
        self.head = pooled_classifier(1024, num_classes, dropout=0.2)
        set_batch_norm(self, eps=1e-3, momentum=0.1)
        he_initialise(self)


@register(PAPER, GoogLeNetOfThePaper)
def googlenet_paper(**options: Any) -> GoogLeNetOfThePaper:
    return GoogLeNetOfThePaper(**options)


@register(PAPER, GoogLeNet)
def googlenet(**options: Any) -> GoogLeNet:
    return GoogLeNet(**options)
