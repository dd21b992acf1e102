"""Networks made for records: the most accuracy for a second of training.

sprint_cifar    94 % on CIFAR-10 in 3.29 Seconds on a Single GPU (Jordan 2024), https://arxiv.org/abs/2404.00498,
                section 3: a whitening convolution and three groups of two convolutions. 1,971,352 parameters that are
                trained, and 288 that are measured.
                Departures: the classifier's input is the largest value of what is left, at any resolution; running
                statistics are those of 19 batches (a momentum of 0.1), where the paper's 0.4 makes it 4, of its 1,024.
sprint_cifar_deep
                its author's airbench96, https://github.com/KellerJordan/cifar10-airbench: wider, a third convolution in
                each group, and a shortcut around the last two. 9,915,416 parameters that are trained.
                Departures: the classifier's input, as above, and its logits are divided by its 512 inputs.
sprint_mnist    our own: three convolutions, each pooled before it is normalised, for 28 x 28 px.
sprint_mnist_deep
                the same, wider, with a fourth convolution on what is left.

Pooling stands before norm and activation, which then have a quarter to do.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from convlens.layers import BiasNorm2d, ResidualBlock, Scale, WhiteningConv2d, he_initialise, sequence
from convlens.zoo.architecture import Network, check_width
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest

PAPER = Paper(
    family="sprint",
    year=2024,
    title="94% on CIFAR-10 in 3.29 Seconds on a Single GPU",
    authors="Jordan",
    link="https://arxiv.org/abs/2404.00498",
)
# fmt: off
#                  32 px  16   8
CIFAR_CHANNELS  = [   64, 256, 256]
CIFAR_DEEP      = [  128, 384, 512]
#                  28 px  14   7
MNIST_CHANNELS  = [   16,  32,  64]
DEEP_CHANNELS   = [   16,  48, 128]
# fmt: on
CIFAR_MOMENTUM = 0.1  # of the running statistics, which then are those of 19 batches


class SprintCifar(Network):
    """Whiten, three times (convolve, pool, norm, act, convolve, norm, act), take the largest, classify."""

    name, plan = "sprint_cifar", CIFAR_CHANNELS
    stem: nn.Sequential

    def __init__(
        self,
        *,
        num_classes: int = 10,
        in_channels: int = 3,
        image_size: tuple[int, int] = (32, 32),
        width: float = 1.0,
    ) -> None:
        super().__init__()
        check_smallest(self.name, image_size, 9)
        channels = [max(1, round(check_width(width) * number)) for number in self.plan]
        self.stem = sequence(whiten=WhiteningConv2d(in_channels, 2), act=nn.GELU())
        widths = [8 * in_channels, *channels]
        self.stages = nn.Sequential(*(self.build_group(*pair) for pair in pairwise(widths)))
        classifier = nn.Linear(channels[-1], num_classes, bias=False)
        nn.init.normal_(classifier.weight)
        scale = Scale(1 / channels[-1])  # for the classifier's weights begin at a deviation of 1
        self.head = sequence(pool=nn.AdaptiveMaxPool2d(1), flatten=nn.Flatten(), classifier=classifier, scale=scale)

    def build_group(self, in_channels: int, channels: int) -> nn.Sequential:
        """(N, in_channels, H, W) -> (N, channels, H // 2, W // 2)."""
        return sequence(
            conv1=identity_convolution(in_channels, channels, EvenConv2d),
            pool=nn.MaxPool2d(2),
            norm1=norm(channels),
            act1=nn.GELU(),
            conv2=identity_convolution(channels, channels),
            norm2=norm(channels),
            act2=nn.GELU(),
        )

    def look_at(self, images: Tensor) -> None:
        whiten = self.stem[0]
        assert isinstance(whiten, WhiteningConv2d)
        whiten.look_at(images)

    def forward(self, images: Tensor) -> Tensor:  # (N, 3, 32, 32)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


class SprintCifarDeep(SprintCifar):
    """SprintCifar, wider; after each pooling a residual of two convolutions is added before the last act."""

    name, plan = "sprint_cifar_deep", CIFAR_DEEP

    def build_group(self, in_channels: int, channels: int) -> nn.Sequential:
        residual = sequence(
            conv2=identity_convolution(channels, channels),
            norm2=norm(channels),
            act2=nn.GELU(),
            conv3=identity_convolution(channels, channels),
            norm3=norm(channels),
        )
        return sequence(
            conv1=identity_convolution(in_channels, channels, EvenConv2d),
            pool=nn.MaxPool2d(2),
            norm1=norm(channels),
            act1=nn.GELU(),
            block=ResidualBlock(residual, nn.Identity(), nn.GELU()),
        )


class EvenConv2d(nn.Conv2d):
    """3x3, padded by 1, before a pooling by 2: in training it leaves out an odd last row and column, which that drops.

    Of 15 x 15 places those are an eighth, of 7 x 7 a quarter. On CPUs alone, where it was measured.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.device.type == "cpu" and all(side % 2 for side in input.shape[-2:]):
            return F.conv2d(F.pad(input, (1, 0, 1, 0)), self.weight, self.bias)
        return super().forward(input)


def norm(channels: int) -> BiasNorm2d:
    return BiasNorm2d(channels, eps=1e-12, momentum=CIFAR_MOMENTUM)


def identity_convolution(in_channels: int, channels: int, kind: type[nn.Conv2d] = nn.Conv2d) -> nn.Conv2d:
    """3x3; its first filters hand their inputs on (dirac, Zagoruyko and Komodakis 2017), the others are drawn."""
    layer = kind(in_channels, channels, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight[:in_channels])
    return layer


class SprintMnist(Network):
    """Three times convolve, pool, norm, ReLU; one Linear on what is left."""

    name, plan = "sprint_mnist", MNIST_CHANNELS

    def __init__(
        self,
        *,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        width: float = 1.0,
    ) -> None:
        super().__init__()
        check_smallest(self.name, image_size, 8)
        channels = [max(1, round(check_width(width) * number)) for number in self.plan]
        height, across = (side // 8 for side in image_size)
        self.stages = self.build_stages([in_channels, *channels])
        self.head = sequence(flatten=nn.Flatten(), classifier=nn.Linear(channels[-1] * height * across, num_classes))
        he_initialise(self)

    def build_stages(self, channels: list[int]) -> nn.Sequential:
        """(N, channels[0], H, W) -> (N, channels[-1], H // 8, W // 8)."""
        return nn.Sequential(
            *(
                sequence(
                    conv=nn.Conv2d(before, after, 3, padding=1, bias=False),
                    pool=nn.MaxPool2d(2),
                    norm=nn.BatchNorm2d(after),
                    act=nn.ReLU(),
                )
                for before, after in pairwise(channels)
            )
        )

    def forward(self, images: Tensor) -> Tensor:  # (N, 1, 28, 28)
        return self.head(self.stages(images))  # (N, num_classes), logits


class SprintMnistDeep(SprintMnist):
    """Three times convolve, pool, norm, ReLU; convolve, norm, ReLU; one Linear on what is left."""

    name, plan = "sprint_mnist_deep", DEEP_CHANNELS

    def build_stages(self, channels: list[int]) -> nn.Sequential:
        last = channels[-1]
        stages = super().build_stages(channels)
        conv = nn.Conv2d(last, last, 3, padding=1, bias=False)
        return stages.append(sequence(conv=conv, norm=nn.BatchNorm2d(last), act=nn.ReLU()))


@register(PAPER, SprintCifar, resolution=32, num_classes=10)
def sprint_cifar(**options: Any) -> SprintCifar:
    return SprintCifar(**options)


@register(PAPER, SprintCifarDeep, resolution=32, num_classes=10)
def sprint_cifar_deep(**options: Any) -> SprintCifarDeep:
    return SprintCifarDeep(**options)


@register(PAPER, SprintMnist, resolution=28, in_channels=1, num_classes=10)
def sprint_mnist(**options: Any) -> SprintMnist:
    return SprintMnist(**options)


@register(PAPER, SprintMnistDeep, resolution=28, in_channels=1, num_classes=10)
def sprint_mnist_deep(**options: Any) -> SprintMnistDeep:
    return SprintMnistDeep(**options)
