"""MobileNet v2 (Sandler, Howard, Zhu, Zhmoginov and Chen, 2018), https://arxiv.org/abs/1801.04381.

Table 2 of the paper, for 224 x 224 images. `width` is its width multiplier, which leaves the last 1x1 convolution at
1,280 channels below 1 (section 6.1). padding="same" pads as TensorFlow does, for weights that were trained there.
Departures: channels are rounded to multiples of 8 and dropout stands before the classifier, as in the authors' code;
He's initialisation.
Small pictures: see `small.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.layers import ConvNormAct, he_initialise, pooled_classifier, round_channels
from convlens.zoo.architecture import Network, check_padding, check_width
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest, gentle_strides

PAPER = Paper(
    family="mobilenet_v2",
    year=2018,
    title="MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    authors="Sandler, Howard, Zhu, Zhmoginov, Chen",
    link="https://arxiv.org/abs/1801.04381",
)

# fmt: off
STEM_CHANNELS, LAST_CHANNELS = 32, 1280
#    expansion, channels, blocks, stride
TABLE_2 = [
    (        1,       16,      1,      1),
    (        6,       24,      2,      2),
    (        6,       32,      3,      2),
    (        6,       64,      4,      2),
    (        6,       96,      3,      1),
    (        6,      160,      3,      2),
    (        6,      320,      1,      1),
]
# fmt: on


class InvertedResidual(nn.Module):
    """y = x + residual(x) where the shapes agree, else residual(x): 1x1 to expand, 3x3 depthwise, linear 1x1."""

    def __init__(self, in_channels: int, channels: int, expansion: int, stride: int, padding: str) -> None:
        super().__init__()
        wide = in_channels * expansion
        shape: dict[str, Any] = {"stride": stride, "groups": wide, "padding": padding}
        self.residual = nn.Sequential()
        if expansion != 1:
            self.residual.add_module("expand", ConvNormAct(in_channels, wide, 1, act=nn.ReLU6))
        self.residual.add_module("depthwise", ConvNormAct(wide, wide, 3, act=nn.ReLU6, **shape))
        self.residual.add_module("project", ConvNormAct(wide, channels, 1, act=None))
        self.adds = stride == 1 and in_channels == channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.residual(x) if self.adds else self.residual(x)


class MobileNetV2(Network):
    """Seven stages of inverted residuals, then the 1x1 convolution to 1,280 channels."""

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        width: float = 1.0,
        padding: str = "symmetric",
    ) -> None:
        super().__init__()
        check_smallest("mobilenet_v2", image_size, 8)
        check_width(width)
        check_padding(padding)
        stem_stride, *strides = gentle_strides([2, *(stride for *_, stride in TABLE_2)], image_size)
        from_channels = round_channels(STEM_CHANNELS * width)
        self.stem = ConvNormAct(in_channels, from_channels, 3, stride=stem_stride, padding=padding, act=nn.ReLU6)
        self.stages = nn.Sequential()
        for (expansion, channels, count, _), stride in zip(TABLE_2, strides, strict=True):
            channels, stage = round_channels(channels * width), nn.Sequential()
            for index in range(count):
                stage.append(InvertedResidual(from_channels, channels, expansion, 1 if index else stride, padding))
                from_channels = channels
            self.stages.append(stage)
        last_channels = round_channels(LAST_CHANNELS * max(1.0, width))
        self.stages.append(ConvNormAct(from_channels, last_channels, 1, act=nn.ReLU6))
        self.head = pooled_classifier(last_channels, num_classes, dropout=0.2)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, MobileNetV2)
def mobilenet_v2(**options: Any) -> MobileNetV2:
    return MobileNetV2(**options)
