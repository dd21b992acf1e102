"""What the commonest operations give on the meta device.

torch's own way to these shapes goes through Python reference code: it imports torch's whole compiler (a second or two)
and takes half of the time of a ResNet's trace. Whatever is not plainly one of these cases is left to torch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten
# fmt: off
ELEMENTWISE = frozenset({
    aten.relu.default, aten.relu_.default, aten.hardtanh.default, aten.hardtanh_.default, aten.hardswish.default,
    aten.hardswish_.default, aten.hardsigmoid.default, aten.hardsigmoid_.default, aten.silu.default, aten.silu_.default,
    aten.gelu.default, aten.sigmoid.default, aten.tanh.default, aten.add.Tensor, aten.add_.Tensor, aten.mul.Tensor,
    aten.mul_.Tensor,
})
# fmt: on


def known_result(func: Any, args: Any) -> Any:
    """The outputs of this call as meta tensors, or None where torch shall say."""
    if func is aten.cat.default:
        return _cat(*args)
    if not args or not isinstance(args[0], Tensor) or not args[0].is_floating_point():
        return None
    if func is aten.convolution.default:
        return _convolution(*args)
    if func is aten.max_pool2d_with_indices.default:
        return _max_pool(*args)
    if func is aten.avg_pool2d.default:
        return _avg_pool(*args)
    if func is aten._adaptive_avg_pool2d.default:
        return _resized(*args)
    if func is aten.adaptive_max_pool2d.default:
        return _with_indices(_resized(*args))
    if func is aten.mm.default:
        return _product(*args)
    if func is aten.native_batch_norm.default:
        width = args[0].shape[1]
        return empty_like(args[0]), args[0].new_empty(width), args[0].new_empty(width)
    if func is aten.addmm.default:
        return _linear(*args[:3])
    if func is aten.mean.dim:
        return _mean(args[0], args[1], keep=len(args) > 2 and args[2]) if args[1] and len(args) <= 3 else None
    return _elementwise(func, args) if func in ELEMENTWISE else None


def empty_like(tensor: Tensor) -> Tensor:
    """A meta tensor of the same shape, type and layout."""
    if tensor.is_contiguous():
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    return torch.empty_like(tensor, device="meta")


def _convolution(
    images: Tensor,
    filters: Tensor,
    bias: Tensor | None,
    strides: list[int],
    paddings: list[int],
    dilations: list[int],
    transposed: bool,
    _: list[int],
    groups: int,
) -> Tensor | None:
    count, channels, *sides = images.shape
    width, depth, *kernel = filters.shape
    listed = len(strides) == len(paddings) == len(dilations) == len(kernel) == len(sides)
    fits = channels == depth * groups and width % groups == 0 and (bias is None or bias.shape == (width,))
    if transposed or not (listed and fits and images.dtype == filters.dtype and images.is_contiguous()):
        return None
    outputs = [
        _windows(side, dilation * (k - 1) + 1, stride, padding)
        for side, k, stride, padding, dilation in zip(sides, kernel, strides, paddings, dilations, strict=True)
    ]
    return images.new_empty(count, width, *outputs) if min(outputs, default=0) > 0 else None


def _max_pool(
    images: Tensor,
    kernel: list[int],
    strides: Any = (),
    paddings: Any = (0, 0),
    dilations: Any = (1, 1),
    ceil: Any = False,
) -> tuple[Tensor, Tensor] | None:
    return _with_indices(_avg_pool(images, kernel, strides, paddings, ceil)) if tuple(dilations) == (1, 1) else None


def _avg_pool(
    images: Tensor, kernel: list[int], strides: Any = (), paddings: Any = (0, 0), ceil: Any = False, *_: Any
) -> Tensor | None:
    listed = images.ndim == 4 and len(kernel) == len(strides or kernel) == len(paddings) == 2
    if not listed or any(2 * padding > k for k, padding in zip(kernel, paddings, strict=True)):
        return None
    steps = zip(images.shape[2:], kernel, strides or kernel, paddings, strict=True)
    sides = [_windows(*step, ceil=ceil) for step in steps]
    return images.new_empty(*images.shape[:2], *sides) if images.is_contiguous() and min(sides) > 0 else None


def _resized(images: Tensor, sides: list[int]) -> Tensor | None:
    fits = images.is_contiguous() and images.ndim == 4 and len(sides) == 2 and min(*images.shape[1:], *sides) > 0
    return images.new_empty(*images.shape[:2], *sides) if fits else None


def _with_indices(values: Tensor | None) -> tuple[Tensor, Tensor] | None:
    return None if values is None else (values, values.new_empty(values.shape, dtype=torch.int64))


def _cat(tensors: list[Tensor], dim: int = 0) -> Tensor | None:
    first, dim = tensors[0], dim % max(1, tensors[0].ndim)
    others = [(*tensor.shape[:dim], *tensor.shape[dim + 1 :]) for tensor in tensors]
    if len(set(others)) > 1 or any(t.dtype != first.dtype or not t.is_contiguous() for t in tensors):
        return None
    joined = sum(tensor.shape[dim] for tensor in tensors)
    return first.new_empty(*first.shape[:dim], joined, *first.shape[dim + 1 :]) if first.ndim else None


def _windows(side: int, window: int, stride: int, padding: int, *, ceil: bool = False) -> int:
    """How many windows fit; with `ceil`, one more that hangs over, if it does not begin in the padding behind."""
    whole, rest = divmod(side + 2 * padding - window, stride)
    return whole + 1 + (ceil and rest > 0 and (whole + 1) * stride < side + padding)


def _product(left: Tensor, right: Tensor) -> Tensor | None:
    fits = left.shape[1] == right.shape[0] and left.dtype == right.dtype
    return left.new_empty(left.shape[0], right.shape[1]) if fits else None


def _linear(bias: Tensor, left: Tensor, right: Tensor) -> Tensor | None:
    return _product(left, right) if bias.shape[-1:] in (right.shape[1:], (1,)) else None


def _mean(images: Tensor, dims: list[int], *, keep: bool) -> Tensor | None:
    gone = {dim % images.ndim for dim in dims}
    shape = [1 if dim in gone else size for dim, size in enumerate(images.shape) if keep or dim not in gone]
    return images.new_empty(shape) if len(gone) == len(dims) else None


def _elementwise(func: Any, args: Any) -> Tensor | None:
    """The first operand's shape and type, if no other is larger or of another type."""
    tensors = [value for value in args if isinstance(value, Tensor)]
    if not all(_fits_into(args[0], tensor) for tensor in tensors):
        return None
    result: Tensor = args[0] if func._schema.name.endswith("_") else empty_like(args[0])
    return result


def _fits_into(larger: Tensor, tensor: Tensor) -> bool:
    sides = zip(reversed(larger.shape), reversed(tensor.shape), strict=False)
    return tensor.ndim <= larger.ndim and tensor.dtype == larger.dtype and all(own in (side, 1) for side, own in sides)
