"""Depthwise convolutions in bf16 on a processor, with gradients as quick as they are in float32.

For two of their gradients oneDNN (3.x, as in torch 2.13) has a reference in bf16 alone, which takes one number at a
time, 5 to 60 times as long: the pictures' where the stride is above 1, and the filters' where these are wider than 3.
Here the first is computed in float32, and the second, in which no weight needs another, for 3 columns at a time.
docs/speed-notes.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.overrides import TorchFunctionMode

WIDEST = 3  # of the filters for whose gradient oneDNN has a kernel in bf16
NEAR = 8 << 20  # bytes
CAST = {torch.float32, torch.bfloat16}  # what autocast makes bf16; it leaves float64 alone
Pair = tuple[int, int]


def has_slow_depthwise(network: nn.Module) -> bool:
    """Whether a layer of it has one of these gradients."""
    return any(
        _is_slow(layer.groups, layer.in_channels, layer.weight, layer.stride, layer.dilation)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    )


class QuickDepthwise(TorchFunctionMode):
    """While it lasts, in this thread and under autocast, whatever layer calls a convolution: its quick gradients."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is torch.conv2d and torch.is_grad_enabled() and torch.is_autocast_enabled("cpu"):
            found = _quick(*args, **(kwargs or {}))
            if found is not None:
                return found
        return func(*args, **(kwargs or {}))


def _quick(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    """As torch.conv2d, or None where that is as quick."""
    if input.ndim != 4 or isinstance(padding, str) or not {input.dtype, weight.dtype} <= CAST:
        return None
    if not _is_slow(groups, input.shape[1], weight, _pair(stride), _pair(dilation)):
        return None
    found: Tensor = _Depthwise.apply(input.bfloat16(), weight, bias, _pair(stride), _pair(padding))
    return found


def _is_slow(groups: int, channels: int, weight: Tensor, stride: Sequence[int], dilation: Sequence[int]) -> bool:
    if groups == 1 or not groups == channels == len(weight) or max(dilation) > 1:
        return False
    return max(stride) > 1 or weight.shape[3] > WIDEST


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.shape = {"stride": stride, "padding": padding, "groups": len(weight)}
        narrow = None if bias is None else bias.bfloat16()
        return torch.conv2d(images, weight.bfloat16(), narrow, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        by_images, by_weight, by_bias, *_ = ctx.needs_input_grad
        return (
            by_input(images, weight, gradient, ctx.shape) if by_images else None,
            by_filters(images, weight, gradient, ctx.shape) if by_weight else None,
            gradient.float().sum((0, 2, 3)) if by_bias else None,
            None,
            None,
        )


def by_input(images: Tensor, weight: Tensor, gradient: Tensor, shape: Mapping[str, Any]) -> Tensor:
    """(N, C, H, W), of the type of `images`; in float32 a few pictures at a time, which stay near the processor."""
    wanted = (True, False, False)
    if max(shape["stride"]) == 1:
        return _backward(gradient, images, weight.to(images.dtype), shape, wanted)[0]
    wide, at_once = weight.float(), max(2, NEAR // (4 * images[0].numel()))
    found = torch.empty_like(images)
    for first in range(0, len(images), at_once):
        part = slice(first, first + at_once)
        its_like = torch.empty_like(images[part], dtype=torch.float32)  # whose values take no part
        found[part] = _backward(gradient[part].float(), its_like, wide, shape, wanted)[0]
    return found


def by_filters(images: Tensor, weight: Tensor, gradient: Tensor, shape: Mapping[str, Any]) -> Tensor:
    """(C, 1, height, width), of the type of `weight`: side by side, each that of a narrower filter on a part."""
    narrow = weight.to(images.dtype)
    if weight.shape[3] <= WIDEST:
        return _backward(gradient, images, narrow, shape, (False, True, False))[1].to(weight.dtype)
    (above, beside), (_, stride) = shape["padding"], shape["stride"]
    padded, covered = pad(images, (beside, beside, above, above)), (gradient.shape[3] - 1) * stride
    found, first = [], 0
    for part in narrow.tensor_split(-(-weight.shape[3] // WIDEST), dim=3):
        width = part.shape[3]
        seen = padded[..., first : first + covered + width].contiguous(memory_format=torch.channels_last)
        alone = {**shape, "padding": (0, 0)}
        found.append(_backward(gradient, seen, part.contiguous(), alone, (False, True, False))[1])
        first += width
    return torch.cat(found, 3).to(weight.dtype)


def _backward(
    gradient: Tensor, images: Tensor, weight: Tensor, shape: Mapping[str, Any], wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """By images, weight and bias, as `wanted`."""
    sizes = (shape["stride"], shape["padding"], (1, 1), False, (0, 0), shape["groups"])
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient, images, weight, None, *sizes, wanted
    )
    return gradients


def _pair(value: Any) -> Pair:
    return (value, value) if isinstance(value, int) else tuple(value) if len(value) == 2 else tuple(value) * 2
