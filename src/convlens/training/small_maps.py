"""Convolutions to small maps in bf16 on a processor, with the filters' gradient as one matrix product.

oneDNN (3.x, as in torch 2.13) walks along the rows of a map, which are 1 to 4 numbers long where a network ends. The
product of the gradients, (N H W, K), and of what each of them saw, (N H W, R S C), im2col (Chellapilla, Puri and Simard
2006), takes a tenth of its time where maps have 1 place, and half to nine tenths where they have 16:
docs/speed-notes.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import pad

from convlens.training.convolution import Convolution

MOST = 16  # places of a map
FEWEST = 64  # channels, before and behind; of 32 the gradient takes 0.1 ms for 128 pictures either way
WIDEST = 3  # of the filters, which are copied for each place


def may_have_slow(layer: nn.Conv2d) -> bool:
    """Whether a layer has this gradient on maps that are small enough."""
    return _may_be_slow(layer.groups, layer.in_channels, layer.out_channels, layer.kernel_size)


def is_slow(images: Tensor, weight: Tensor, conv: Convolution) -> bool:
    if not _may_be_slow(conv.groups, weight.shape[1], len(weight), weight.shape[2:]):
        return False
    height, width = conv.size_of(images, weight)
    return 0 < height * width <= MOST


def _may_be_slow(groups: int, channels: int, filters: int, size: Sequence[int]) -> bool:
    return groups == 1 and min(channels, filters) >= FEWEST and max(size) <= WIDEST


def by_input(images: Tensor, weight: Tensor, gradient: Tensor, conv: Convolution) -> Tensor:
    """(N, C, H, W): torch's."""
    return conv.by_input(images, weight, gradient)


def by_filters(images: Tensor, weight: Tensor, gradient: Tensor, conv: Convolution) -> Tensor:
    """(K, C, R, S)."""
    (filters, channels, tall, wide), (above, beside), (down, across) = weight.shape, conv.padding, conv.stride
    padded = pad(images, (beside, beside, above, above)) if above or beside else images
    seen = padded.permute(0, 2, 3, 1).unfold(1, tall, down).unfold(2, wide, across)  # (N, H, W, C, R, S)
    columns = seen.permute(0, 1, 2, 4, 5, 3).reshape(-1, tall * wide * channels)
    rows = gradient.permute(0, 2, 3, 1).reshape(-1, filters)
    found = (rows.T @ columns).view(filters, tall, wide, channels)
    return found.permute(0, 3, 1, 2)
