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
from torch import Tensor, nn
from torch.nn.functional import pad

from convlens.training.convolution import Convolution

WIDEST = 3  # of the filters for whose gradient oneDNN has a kernel in bf16
NEAR = 8 << 20  # bytes


def has_slow(layer: nn.Conv2d) -> bool:
    """Whether a layer has one of these gradients."""
    return _is_slow(layer.groups, layer.in_channels, layer.out_channels, layer.stride, layer.kernel_size)


def is_slow(images: Tensor, weight: Tensor, conv: Convolution) -> bool:
    return _is_slow(conv.groups, images.shape[1], len(weight), conv.stride, weight.shape[2:])


def _is_slow(groups: int, channels: int, filters: int, stride: Sequence[int], size: Sequence[int]) -> bool:
    return groups > 1 and groups == channels == filters and (max(stride) > 1 or size[1] > WIDEST)


def by_input(images: Tensor, weight: Tensor, gradient: Tensor, conv: Convolution) -> Tensor:
    """(N, C, H, W), of the type of `images`; in float32 a few pictures at a time, which stay near the processor."""
    if max(conv.stride) == 1:
        return conv.by_input(images, weight, gradient)
    wide, at_once = weight.float(), max(2, NEAR // (4 * images[0].numel()))
    found = torch.empty_like(images)
    for first in range(0, len(images), at_once):
        part = slice(first, first + at_once)
        its_like = torch.empty_like(images[part], dtype=torch.float32)  # whose values take no part
        found[part] = conv.by_input(its_like, wide, gradient[part].float())
    return found


def by_filters(images: Tensor, weight: Tensor, gradient: Tensor, conv: Convolution) -> Tensor:
    """(C, 1, height, width): side by side, each that of a narrower filter on a part."""
    if weight.shape[3] <= WIDEST:
        return conv.by_filters(images, weight, gradient)
    (above, beside), (_, stride) = conv.padding, conv.stride
    padded, covered = pad(images, (beside, beside, above, above)), (gradient.shape[3] - 1) * stride
    alone = replace(conv, padding=(0, 0))
    found, first = [], 0
    for part in weight.tensor_split(-(-weight.shape[3] // WIDEST), dim=3):
        width = part.shape[3]
        seen = padded[..., first : first + covered + width].contiguous(memory_format=torch.channels_last)
        found.append(alone.by_filters(seen, part.contiguous(), gradient))
        first += width
    return torch.cat(found, 3)
