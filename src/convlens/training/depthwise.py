"""Depthwise convolutions in bf16 on a processor, with gradients as quick as they are in float32.

For two of their gradients oneDNN (3.x, as in torch 2.13) has a reference in bf16 alone, which takes one number at a
time, 5 to 60 times as long: the pictures' where the stride is above 1, and the filters' where these are wider than 3.
Here the first is computed in float32, and the second, in which no weight needs another, for 3 columns at a time.
docs/speed-notes.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from convlens.training.convolution import Shape

WIDEST = 3  # of the filters for whose gradient oneDNN has a kernel in bf16
NEAR = 8 << 20  # bytes


def is_slow(weight: Tensor, channels: int, stride: Sequence[int], groups: int) -> bool:
    """Whether a convolution of `channels` by `weight`, (K, C, R, S), is depthwise and has one of these gradients."""
    if groups == 1 or not groups == channels == len(weight):
        return False
    return max(stride) > 1 or weight.shape[3] > WIDEST


def by_input(images: Tensor, weight: Tensor, gradient: Tensor, shape: Shape) -> Tensor:
    """(N, C, H, W), of the type of `images`; in float32 a few pictures at a time, which stay near the processor."""
    if max(shape.stride) == 1:
        return shape.by_input(images, weight.to(images.dtype), gradient)
    wide, at_once = weight.float(), max(2, NEAR // (4 * images[0].numel()))
    found = torch.empty_like(images)
    for first in range(0, len(images), at_once):
        part = slice(first, first + at_once)
        its_like = torch.empty_like(images[part], dtype=torch.float32)  # whose values take no part
        found[part] = shape.by_input(its_like, wide, gradient[part].float())
    return found


def by_filters(images: Tensor, weight: Tensor, gradient: Tensor, shape: Shape) -> Tensor:
    """(C, 1, height, width), of the type of `weight`: side by side, each that of a narrower filter on a part."""
    narrow = weight.to(images.dtype)
    if weight.shape[3] <= WIDEST:
        return shape.by_filters(images, narrow, gradient).to(weight.dtype)
    (above, beside), (_, stride) = shape.padding, shape.stride
    padded, covered = pad(images, (beside, beside, above, above)), (gradient.shape[3] - 1) * stride
    alone = replace(shape, padding=(0, 0))
    found, first = [], 0
    for part in narrow.tensor_split(-(-weight.shape[3] // WIDEST), dim=3):
        width = part.shape[3]
        seen = padded[..., first : first + covered + width].contiguous(memory_format=torch.channels_last)
        found.append(alone.by_filters(seen, part.contiguous(), gradient))
        first += width
    return torch.cat(found, 3).to(weight.dtype)
