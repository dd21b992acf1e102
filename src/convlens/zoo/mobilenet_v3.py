"""MobileNet v3 (Howard et al., 2019), https://arxiv.org/abs/1905.02244.

Tables 1 (large) and 2 (small) of the paper, for 224 x 224 images. The last block is the efficient one of figure 5: the
wide 1x1 convolution to 1,280 (small: 1,024) features comes after the average, as a Linear layer, where it meets one
pixel in place of 49. `width` is the width multiplier; it leaves those features alone below 1, and the stem below 0.75.
padding="same" pads as TensorFlow does, for weights that were trained there. Every squeeze-and-excitation has a quarter
of the expanded channels (section 5.3).
Departures, all as in the authors' code: that quarter is rounded to a multiple of 8; the small network has no
squeeze-and-excitation on its last 1x1 convolution (576), where table 2 marks one; of its features some versions of the
paper print 1,280.
Small pictures: see `small.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import ConvNormAct, SqueezeExcite, he_initialise, round_channels, sequence, set_batch_norm
from convlens.zoo.architecture import Network, check_padding, check_width
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest, gentle_strides

PAPER = Paper(
    family="mobilenet_v3",
    year=2019,
    title="Searching for MobileNetV3",
    authors="Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam",
    link="https://arxiv.org/abs/1905.02244",
)

Row = tuple[int, int, int, bool, type[nn.Module], int]
# fmt: off
RE, HS = nn.ReLU, nn.Hardswish
STEM_CHANNELS = 16
#    kernel, expanded, channels, squeeze, act, stride
TABLE_1 = [
    (     3,       16,       16,   False,  RE,      1),
    (     3,       64,       24,   False,  RE,      2),
    (     3,       72,       24,   False,  RE,      1),
    (     5,       72,       40,    True,  RE,      2),
    (     5,      120,       40,    True,  RE,      1),
    (     5,      120,       40,    True,  RE,      1),
    (     3,      240,       80,   False,  HS,      2),
    (     3,      200,       80,   False,  HS,      1),
    (     3,      184,       80,   False,  HS,      1),
    (     3,      184,       80,   False,  HS,      1),
    (     3,      480,      112,    True,  HS,      1),
    (     3,      672,      112,    True,  HS,      1),
    (     5,      672,      160,    True,  HS,      2),
    (     5,      960,      160,    True,  HS,      1),
    (     5,      960,      160,    True,  HS,      1),
]
TABLE_2 = [
    (     3,       16,       16,    True,  RE,      2),
    (     3,       72,       24,   False,  RE,      2),
    (     3,       88,       24,   False,  RE,      1),
    (     5,       96,       40,    True,  HS,      2),
    (     5,      240,       40,    True,  HS,      1),
    (     5,      240,       40,    True,  HS,      1),
    (     5,      120,       48,    True,  HS,      1),
    (     5,      144,       48,    True,  HS,      1),
    (     5,      288,       96,    True,  HS,      2),
    (     5,      576,       96,    True,  HS,      1),
    (     5,      576,       96,    True,  HS,      1),
]
#           rows,    last convolution, features
SIZES = {
    "large": (TABLE_1,            960,     1280),
    "small": (TABLE_2,            576,     1024),
}
# fmt: on


class InvertedResidual(nn.Module):
    """y = x + residual(x) where the shapes agree, else residual(x): v2's block with squeeze and excite, figure 4."""

    def __init__(self, in_channels: int, expanded: int, channels: int, row: Row, padding: str) -> None:
        super().__init__()
        kernel, _, _, squeeze, act, stride = row
        self.residual = nn.Sequential()
        if expanded != in_channels:
            self.residual.add_module("expand", ConvNormAct(in_channels, expanded, 1, act=act))
        shape: dict[str, Any] = {"stride": stride, "groups": expanded, "padding": padding}
        self.residual.add_module("depthwise", ConvNormAct(expanded, expanded, kernel, act=act, **shape))
        if squeeze:
            gate = SqueezeExcite(expanded, round_channels(expanded / 4), sigmoid=nn.Hardsigmoid)
            self.residual.add_module("squeeze_excite", gate)
        self.residual.add_module("project", ConvNormAct(expanded, channels, 1, act=None))
        self.adds = stride == 1 and in_channels == channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.residual(x) if self.adds else self.residual(x)


class MobileNetV3(Network):
    """The rows of its table, the last 1x1 convolution, and the efficient head."""

    def __init__(
        self,
        size: str,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        width: float = 1.0,
        padding: str = "symmetric",
    ) -> None:
        super().__init__()
        check_smallest("mobilenet_v3", image_size, 8)
        check_width(width)
        check_padding(padding)
        rows, last_channels, features = SIZES[size]
        stem_stride, *strides = gentle_strides([2, *(row[-1] for row in rows)], image_size)
        from_channels = round_channels(STEM_CHANNELS * (width if width >= 0.75 else 1.0))
        self.stem = ConvNormAct(in_channels, from_channels, 3, stride=stem_stride, padding=padding, act=nn.Hardswish)
        self.stages = nn.Sequential()
        table_channels = STEM_CHANNELS
        for row, stride in zip(rows, strides, strict=True):
            expanded = round_channels(from_channels * row[1] / table_channels)  # the block's own ratio, as in v2
            table_channels, channels = row[2], round_channels(row[2] * width)
            row = (*row[:-1], stride)
            self.stages.append(InvertedResidual(from_channels, expanded, channels, row, padding))
            from_channels = channels
        last_channels = round_channels(last_channels * width)
        self.stages.append(ConvNormAct(from_channels, last_channels, 1, act=nn.Hardswish))
        self.head = efficient_head(last_channels, round_channels(features * max(1.0, width)), num_classes)
        set_batch_norm(self, eps=1e-3, momentum=0.01)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


def efficient_head(channels: int, features: int, num_classes: int) -> nn.Sequential:
    """(N, channels, H, W) -> (N, num_classes), figure 5 below."""
    return sequence(
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        linear1=nn.Linear(channels, features),
        act=nn.Hardswish(),
        dropout=nn.Dropout(0.2),
        linear2=nn.Linear(features, num_classes),
    )


@register(PAPER, MobileNetV3)
def mobilenet_v3_large(**options: Any) -> MobileNetV3:
    return MobileNetV3("large", **options)


@register(PAPER, MobileNetV3)
def mobilenet_v3_small(**options: Any) -> MobileNetV3:
    return MobileNetV3("small", **options)
