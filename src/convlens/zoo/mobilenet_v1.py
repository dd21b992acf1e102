"""MobileNet v1 (Howard et al., 2017), https://arxiv.org/abs/1704.04861.

Table 1 of the paper, for 224 x 224 images. `width` is its width multiplier alpha, a smaller image_size its resolution
multiplier rho (tables 6 and 7). padding="same" pads as TensorFlow does, for weights that were trained there.
Departures: ReLU6 in place of ReLU, as in the authors' published code; the last depthwise convolution has stride 1 on
its 7 x 7 maps, for the table's "s2" contradicts its own sizes.
Small pictures: see `small.py`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from convlens.layers import ConvNormAct, he_initialise, pooled_classifier, round_channels
from convlens.zoo.architecture import Network, check_padding, check_width
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest, gentle_strides

PAPER = Paper(
    family="mobilenet_v1",
    year=2017,
    title="MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    authors="Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam",
    link="https://arxiv.org/abs/1704.04861",
)

# fmt: off
STEM_CHANNELS = 32
#    channels, stride, blocks
TABLE_1 = [
    (      64,      1,      1),
    (     128,      2,      1),
    (     128,      1,      1),
    (     256,      2,      1),
    (     256,      1,      1),
    (     512,      2,      1),
    (     512,      1,      5),
    (    1024,      2,      1),
    (    1024,      1,      1),
]
# fmt: on


class SeparableConvolution(nn.Sequential):
    """(N, C, H, W) -> (N, K, H / stride, W / stride): a filter a channel, then a 1x1 across them, section 3.1."""

    def __init__(self, in_channels: int, channels: int, stride: int, padding: str) -> None:
        shape: dict[str, Any] = {"stride": stride, "groups": in_channels, "padding": padding}
        depthwise = ConvNormAct(in_channels, in_channels, 3, act=nn.ReLU6, **shape)
        pointwise = ConvNormAct(in_channels, channels, 1, act=nn.ReLU6)
        super().__init__(OrderedDict(depthwise=depthwise, pointwise=pointwise))


class MobileNetV1(Network):
    """A stem and thirteen separable convolutions; the paper's 28 layers."""

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
        check_smallest("mobilenet_v1", image_size, 8)
        check_width(width)
        check_padding(padding)
        stem_stride, *strides = gentle_strides([2, *(stride for _, stride, _ in TABLE_1)], image_size)
        from_channels = round_channels(STEM_CHANNELS * width)
        self.stem = ConvNormAct(in_channels, from_channels, 3, stride=stem_stride, padding=padding, act=nn.ReLU6)
        self.stages = nn.Sequential()
        for (channels, _, count), stride in zip(TABLE_1, strides, strict=True):
            channels = round_channels(channels * width)
            for _ in range(count):
                self.stages.append(SeparableConvolution(from_channels, channels, stride, padding))
                from_channels = channels
        self.head = pooled_classifier(from_channels, num_classes)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, MobileNetV1)
def mobilenet_v1(**options: Any) -> MobileNetV1:
    return MobileNetV1(**options)
