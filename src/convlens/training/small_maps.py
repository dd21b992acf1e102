"""Convolutions to small maps in bf16 on a processor, with the filters' gradient as one matrix product.

oneDNN (3.x, as in torch 2.13) walks along the rows of a map, which are 1 to 4 numbers long where a network ends, and
takes 1.2 to 12 times as long as the product of the gradients, (N H W, K), and of what each of them saw, (N H W, R S C):
im2col (Chellapilla, Puri and Simard 2006). docs/speed-notes.md has the measurements.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad

from convlens.training.convolution import Shape

MOST = 16  # places of a map
FEWEST = 64  # channels, before and behind; a layer of fewer takes no time
WIDEST = 3  # of the filters, which are copied for each place


def may_be_slow(weight: Tensor, groups: int) -> bool:
    """Whether (K, C, R, S) have this gradient on maps that are small enough."""
    return groups == 1 and min(weight.shape[:2]) >= FEWEST and max(weight.shape[2:]) <= WIDEST


def is_slow(weight: Tensor, images: Tensor, shape: Shape) -> bool:
    height, width = shape.size_of(images, weight)
    return may_be_slow(weight, shape.groups) and 0 < height * width <= MOST


def by_input(images: Tensor, weight: Tensor, gradient: Tensor, shape: Shape) -> Tensor:
    """(N, C, H, W), of the type of `images`."""
    return shape.by_input(images, weight.to(images.dtype), gradient)


def by_filters(images: Tensor, weight: Tensor, gradient: Tensor, shape: Shape) -> Tensor:
    """(K, C, R, S), of the type of `weight`."""
    (filters, channels, tall, wide), (above, beside), (down, across) = weight.shape, shape.padding, shape.stride
    padded = pad(images, (beside, beside, above, above)).permute(0, 2, 3, 1)
    seen = padded.unfold(1, tall, down).unfold(2, wide, across)  # (N, H, W, C, R, S)
    columns = seen.permute(0, 1, 2, 4, 5, 3).reshape(-1, tall * wide * channels)
    rows = gradient.permute(0, 2, 3, 1).reshape(-1, filters)
    found = (rows.T @ columns).view(filters, tall, wide, channels)
    return found.permute(0, 3, 1, 2).to(weight.dtype)
