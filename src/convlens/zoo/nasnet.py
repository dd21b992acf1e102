"""NASNet-A (Zoph, Vasudevan, Shlens and Le, 2017), https://arxiv.org/abs/1707.07012.

Figure 2 (right) of the paper with the cells of figure 4: `nasnet_mobile` is 4 @ 1056 for 224 x 224 images,
`nasnet_large` 6 @ 4032 for 331 x 331. Each cell reads the outputs of the two before it.

What the paper leaves to the authors' code is done as there: a convolution comes after its ReLU and before its norm, and
separable ones come twice; an earlier output of twice the size is fitted by two 1x1 convolutions at every second pixel,
one of them a pixel further; of an even side, a stride of 2 pads below and right only; the cell after a reduction reads,
beside it, the output before (mobile) or the one before that (large).
Departures: no auxiliary classifier and no dropped paths, which only training has; an average at stride 2 counts the
padding, as in the published port of the weights (timm), where TensorFlow leaves it out; He's initialisation.
Small pictures: see `small.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from convlens.layers import he_initialise, pooled_classifier, sequence, set_batch_norm
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest, gentle_strides

PAPER = Paper(
    family="nasnet",
    year=2017,
    title="Learning Transferable Architectures for Scalable Image Recognition",
    authors="Zoph, Vasudevan, Shlens, Le",
    link="https://arxiv.org/abs/1707.07012",
)

# fmt: off
#           stem, channels, normal cells, earlier output beside a reduction
SIZES = {
    "mobile": (32,      44,            4, 1),
    "large":  (96,     168,            6, 2),
}
#    times channels, reduced, followed by normal cells
FIGURE_2 = [
    (      0.25,     True,    False),
    (      0.5,      True,    False),
    (      1,        False,   True),
    (      2,        True,    True),
    (      4,        True,    True),
]
# fmt: on
Maps = tuple[torch.Tensor, torch.Tensor]  # the outputs of the cell before the last, and of the last


class SamePadding(nn.Module):
    """What a kernel with stride 2 needs for ceil(H / 2); of an even side, one pixel less at the top and left."""

    def __init__(self, kernel: int, value: float) -> None:
        super().__init__()
        self.kernel, self.value = kernel, value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        after = self.kernel // 2
        top, left = (after - 1 + side % 2 for side in x.shape[2:])
        return functional.pad(x, (left, after, top, after), value=self.value)


def same(layer: Callable[..., nn.Module], kernel: int, stride: int, value: float = 0.0) -> nn.Module:
    """`layer`, padded so that (N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride))."""
    return layer(padding=kernel // 2) if stride == 1 else sequence(pad=SamePadding(kernel, value), layer=layer())


def average(stride: int) -> nn.Module:
    return same(partial(nn.AvgPool2d, 3, stride, count_include_pad=False), 3, stride)


def maximum(stride: int) -> nn.Module:
    return same(partial(nn.MaxPool2d, 3, stride), 3, stride, value=float("-inf"))


def separable(in_channels: int, channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Twice ReLU, depthwise, pointwise and norm; the first depthwise convolution has the stride."""
    built = nn.Sequential()
    for wide, step in ((in_channels, stride), (channels, 1)):
        depthwise = partial(nn.Conv2d, wide, wide, kernel, stride=step, groups=wide, bias=False)
        built.append(nn.ReLU())
        built.append(same(depthwise, kernel, step))
        built.append(nn.Conv2d(wide, channels, 1, bias=False))
        built.append(nn.BatchNorm2d(channels))
    return built


def pointwise(in_channels: int, channels: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, channels, 1, bias=False)
    return sequence(act=nn.ReLU(), conv=conv, norm=nn.BatchNorm2d(channels))


class Halving(nn.Module):
    """(N, in_channels, H, W) -> (N, channels, ceil(H / 2), ceil(W / 2)); half the channels see the odd pixels."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.even = nn.Conv2d(in_channels, channels // 2, 1, bias=False)
        self.odd = nn.Conv2d(in_channels, channels // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(x)
        shifted = functional.pad(x[:, :, 1:, 1:], (0, 1, 0, 1))
        return self.norm(torch.cat([self.even(x[:, :, ::2, ::2]), self.odd(shifted[:, :, ::2, ::2])], dim=1))


class Cell(nn.Module):
    """The maps of the two cells before, the paper's h_{i-1} and h_i, fitted to one size and to `channels`.

    In the first cell the earlier of the two stays as it is.
    """

    def __init__(self, in_channels: tuple[int, int], channels: int, fit: str) -> None:
        super().__init__()
        previous, current = in_channels
        if fit == "1x1":
            self.fit_previous: nn.Module = pointwise(previous, channels)
        self.fit_current = pointwise(current, channels)
        if fit != "1x1":  # after it, as in the published weights
            self.fit_previous = Halving(previous, channels) if fit == "halved" else nn.Identity()

    def fitted(self, maps: Maps) -> Maps:
        return self.fit_previous(maps[0]), self.fit_current(maps[1])


class NormalCell(Cell):
    """Figure 4 left: six maps of `channels`."""

    def __init__(self, in_channels: tuple[int, int], channels: int, fit: str) -> None:
        super().__init__(in_channels, channels, fit)
        self.current5 = separable(channels, channels, 5)
        self.previous3 = separable(channels, channels, 3)
        self.second5 = separable(channels, channels, 5)
        self.second3 = separable(channels, channels, 3)
        self.average = average(1)
        self.current3 = separable(channels, channels, 3)

    def forward(self, maps: Maps) -> Maps:
        previous, current = self.fitted(maps)
        sums = [
            self.current5(current) + self.previous3(previous),
            self.second5(previous) + self.second3(previous),
            self.average(current) + previous,
            self.average(previous) + self.average(previous),
            self.current3(current) + current,
        ]
        return maps[1], torch.cat([previous, *sums], dim=1)


class ReductionCell(Cell):
    """Figure 4 right: four maps of `channels`, at half the size. `beside` says what the next cell reads with them."""

    def __init__(self, in_channels: tuple[int, int], channels: int, fit: str, stride: int, beside: int) -> None:
        super().__init__(in_channels, channels, fit)
        previous = in_channels[0] if fit == "none" else channels
        self.current5 = separable(channels, channels, 5, stride)
        self.previous7 = separable(previous, channels, 7, stride)
        self.maximum = maximum(stride)
        self.second7 = separable(previous, channels, 7, stride)
        self.average = average(stride)
        self.previous5 = separable(previous, channels, 5, stride)
        self.average_first = average(1)
        self.first3 = separable(channels, channels, 3)
        self.beside = beside

    def forward(self, maps: Maps) -> Maps:
        previous, current = self.fitted(maps)
        first, largest = self.current5(current) + self.previous7(previous), self.maximum(current)
        second = largest + self.second7(previous)
        third = self.average(current) + self.previous5(previous)
        sums = [second, third, self.average_first(first) + second, self.first3(first) + largest]
        return maps[-self.beside], torch.cat(sums, dim=1)


class Start(nn.Module):
    """The first cell reads the stem's output twice."""

    def forward(self, x: torch.Tensor) -> Maps:
        return x, x


class End(nn.Module):
    """(maps before, maps) -> relu(maps)."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, maps: Maps) -> torch.Tensor:
        return self.act(maps[1])


def make_stages(size: str, strides: list[int]) -> nn.Sequential:
    """(N, stem, H, W) -> (N, 24 * channels, H / 16, W / 16); `strides` are those of the reduction cells."""
    stem, channels, repeats, beside = SIZES[size]
    stages, left = nn.Sequential(Start()), iter(strides)
    previous = current = (stem, 1)  # channels and stride of the two outputs that the next cell reads
    for scale, reduced, followed in FIGURE_2:
        wide = int(scale * channels)
        if reduced:
            stride, read = next(left), beside if followed else 1
            fit = "none" if len(stages) == 1 else fitting(previous, current)
            stages.append(ReductionCell((previous[0], current[0]), wide, fit, stride, read))
            previous, current = (previous, current)[-read], (4 * wide, current[1] * stride)
        for _ in range(repeats if followed else 0):
            stages.append(NormalCell((previous[0], current[0]), wide, fitting(previous, current)))
            previous, current = current, (6 * wide, current[1])
    return stages.append(End())


def fitting(previous: tuple[int, int], current: tuple[int, int]) -> str:
    return "1x1" if previous[1] == current[1] else "halved"


class NASNet(Network):
    """A 3x3 convolution and two reduction cells; then three times the normal cells, with a reduction between."""

    def __init__(
        self, size: str, *, num_classes: int = 1000, in_channels: int = 3, image_size: tuple[int, int] = (224, 224)
    ) -> None:
        super().__init__()
        check_smallest(f"nasnet_{size}", image_size, 8)
        stem, channels, *_ = SIZES[size]
        stem_stride, *strides = gentle_strides([2, *(2 for _, reduced, _ in FIGURE_2 if reduced)], image_size)
        conv = nn.Conv2d(in_channels, stem, 3, stride=stem_stride, bias=False)
        self.stem = sequence(conv=conv, norm=nn.BatchNorm2d(stem))
        self.stages = make_stages(size, strides)
        self.head = pooled_classifier(24 * channels, num_classes, dropout=0.5)
        set_batch_norm(self, eps=1e-3, momentum=0.1)
        he_initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 3, 224, 224)
        return self.head(self.stages(self.stem(images)))  # (N, num_classes), logits


@register(PAPER, NASNet)
def nasnet_mobile(**options: Any) -> NASNet:
    return NASNet("mobile", **options)


@register(PAPER, NASNet, resolution=331)
def nasnet_large(**options: Any) -> NASNet:
    return NASNet("large", **options)
