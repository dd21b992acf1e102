"""Convolutions in bf16 on a processor, with quicker gradients than torch's own where there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convlens.training import depthwise, small_maps
from convlens.training.convolution import Convolution, Pair

Gradient = Callable[[Tensor, Tensor, Tensor, Convolution], Tensor]  # of pictures, filters and the gradient by the maps


@dataclass(frozen=True)
class Way:
    """To the gradients of a convolution by its pictures and by its filters, all of one type."""

    by_input: Gradient
    by_filters: Gradient


DEPTHWISE = Way(depthwise.by_input, depthwise.by_filters)
SMALL_MAPS = Way(small_maps.by_input, small_maps.by_filters)
CAST = {torch.float32, torch.bfloat16}  # what autocast makes bf16; it leaves float64 alone


def has_slow_gradients(network: nn.Module) -> bool:
    """Whether a layer of it has, or may have on small pictures, a gradient for which there is a quicker way."""
    return any(
        max(layer.dilation) == 1 and (depthwise.has_slow(layer) or small_maps.may_have_slow(layer))
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    )


class QuickGradients(TorchFunctionMode):
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
    conv = Convolution(_pair(stride), _pair(padding), groups)
    if max(_pair(dilation)) > 1:
        return None
    if depthwise.is_slow(input, weight, conv):
        way = DEPTHWISE
    elif small_maps.is_slow(input, weight, conv):
        way = SMALL_MAPS
    else:
        return None
    # cast here: what is saved must be what torch's own saves, for a part that is computed again in the backward pass
    found: Tensor = _QuickConvolution.apply(input.bfloat16(), weight.bfloat16(), bias, conv, way)
    return found


class _QuickConvolution(torch.autograd.Function):
    """Torch's, with the gradients that `way` finds."""

    @staticmethod
    def forward(images: Tensor, weight: Tensor, bias: Tensor | None, conv: Convolution, way: Way) -> Tensor:
        narrow = None if bias is None else bias.bfloat16()
        return torch.conv2d(images, weight, narrow, conv.stride, conv.padding, groups=conv.groups)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        images, weight, _, ctx.conv, ctx.way = inputs
        ctx.save_for_backward(images, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        by_images, by_weight, by_bias, *_ = ctx.needs_input_grad
        return (
            ctx.way.by_input(images, weight, gradient, ctx.conv) if by_images else None,
            ctx.way.by_filters(images, weight, gradient, ctx.conv) if by_weight else None,
            gradient.float().sum((0, 2, 3)) if by_bias else None,
            None,
            None,
        )


def _pair(value: Any) -> Pair:
    return (value, value) if isinstance(value, int) else tuple(value) if len(value) == 2 else tuple(value) * 2
