"""What the commonest operations give on the meta device.

torch's own way to these shapes goes through Python reference code: it imports torch's whole compiler (a second or two)
and takes half of the time of a ResNet's trace. Whatever is not plainly one of these cases is left to torch.
"""

from __future__ import annotations

from collections.abc import Callable
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


def known_result(func: Any, args: Any, options: Any) -> Any:
    """The outputs of this call as meta tensors, or None where torch shall say."""
    if func is aten.cat.default:
        return _cat(*args)
    if "dtype" in options or not args or not isinstance(args[0], Tensor) or not args[0].is_floating_point():
        return None
    if func in ELEMENTWISE:
        return _elementwise(func, args)
    shape_of = SHAPES.get(func)
    return None if shape_of is None else shape_of(*args)


def empty_like(tensor: Tensor) -> Tensor:
    """A meta tensor of the same shape, type and layout."""
    if _is_plain(tensor):
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    return torch.empty_like(tensor, device="meta")


def _is_plain(tensor: Tensor) -> bool:
    """In channels_first by its strides, by which torch goes: with sides of 1 a tensor can be in two layouts at once."""
    stride = 1
    for side, own in zip(reversed(tensor.shape), reversed(tensor.stride()), strict=True):
        if own != stride:
            return False
        stride *= max(side, 1)
    return True


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
    fits = channels == depth * groups > 0 and width % groups == 0 and (bias is None or bias.shape == (width,))
    if transposed or not (listed and fits and images.dtype == filters.dtype and _is_plain(images)):
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
    images: Tensor,
    kernel: list[int],
    strides: Any = (),
    paddings: Any = (0, 0),
    ceil: Any = False,
    count_padding: Any = True,
    divisor: Any = None,
) -> Tensor | None:
    strides = strides or kernel
    listed = len(kernel) == len(strides) == len(paddings) == 2
    if not (listed and _is_batch(images)) or min(*kernel, *strides) < 1 or divisor is not None:
        return None
    if not all(0 <= 2 * padding <= k for k, padding in zip(kernel, paddings, strict=True)):
        return None
    steps = zip(images.shape[2:], kernel, strides, paddings, strict=True)
    sides = [_windows(*step, ceil=ceil) for step in steps]
    return images.new_empty(*images.shape[:2], *sides) if min(sides) > 0 else None


def _resized(images: Tensor, sides: list[int]) -> Tensor | None:
    fits = _is_batch(images) and len(sides) == 2 and min(sides) > 0
    return images.new_empty(*images.shape[:2], *sides) if fits else None


def _is_batch(images: Tensor) -> bool:
    """(N, C, H, W) of at least a pixel, laid out in this order."""
    return images.ndim == 4 and min(images.shape[1:]) > 0 and _is_plain(images)


def _with_indices(values: Tensor | None) -> tuple[Tensor, Tensor] | None:
    return None if values is None else (values, values.new_empty(values.shape, dtype=torch.int64))


def _cat(tensors: list[Tensor], dim: int = 0) -> Tensor | None:
    first = tensors[0]
    if not -first.ndim <= dim < first.ndim:
        return None
    dim %= first.ndim
    others = {(*tensor.shape[:dim], *tensor.shape[dim + 1 :]) for tensor in tensors}
    if len(others) > 1 or any(t.ndim != first.ndim or t.dtype != first.dtype or not _is_plain(t) for t in tensors):
        return None
    joined = sum(tensor.shape[dim] for tensor in tensors)
    return first.new_empty(*first.shape[:dim], joined, *first.shape[dim + 1 :])


def _windows(side: int, window: int, stride: int, padding: int, *, ceil: bool = False) -> int:
    """How many windows fit; with `ceil`, one more that hangs over, if it does not begin in the padding behind."""
    whole, rest = divmod(side + 2 * padding - window, stride)
    return whole + 1 + (ceil and rest > 0 and (whole + 1) * stride < side + padding)


def _product(left: Tensor, right: Tensor) -> Tensor | None:
    fits = left.ndim == right.ndim == 2 and left.shape[1] == right.shape[0] and left.dtype == right.dtype
    return left.new_empty(left.shape[0], right.shape[1]) if fits else None


def _linear(bias: Tensor, left: Tensor, right: Tensor) -> Tensor | None:
    return _product(left, right) if bias.shape[-1:] in (right.shape[1:], (1,)) else None


def _norm(images: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    width = images.shape[1]
    return empty_like(images), images.new_empty(width), images.new_empty(width)


def _mean(images: Tensor, dims: list[int] | None, keep: bool = False) -> Tensor | None:
    if not dims or not all(-images.ndim <= dim < images.ndim for dim in dims):
        return None
    gone = {dim % images.ndim for dim in dims}
    shape = [1 if dim in gone else size for dim, size in enumerate(images.shape) if keep or dim not in gone]
    return images.new_empty(shape) if len(gone) == len(dims) else None


def _elementwise(func: Any, args: Any) -> Tensor | None:
    """The first operand's shape and type, if no other is larger or of another type, and none a complex number."""
    tensors = [value for value in args if isinstance(value, Tensor)]
    if any(isinstance(value, complex) for value in args) or not all(_fits_into(args[0], tensor) for tensor in tensors):
        return None
    result: Tensor = args[0] if func._schema.name.endswith("_") else empty_like(args[0])
    return result


def _fits_into(larger: Tensor, tensor: Tensor) -> bool:
    sides = zip(reversed(larger.shape), reversed(tensor.shape), strict=False)
    return tensor.ndim <= larger.ndim and tensor.dtype == larger.dtype and all(own in (side, 1) for side, own in sides)


# fmt: off
SHAPES: dict[Any, Callable[..., Any]] = {
    aten.convolution.default: _convolution,
    aten.max_pool2d_with_indices.default: _max_pool,
    aten.avg_pool2d.default: _avg_pool,
    aten._adaptive_avg_pool2d.default: _resized,
    aten.adaptive_max_pool2d.default: lambda *args: _with_indices(_resized(*args)),
    aten.native_batch_norm.default: _norm,
    aten.mean.dim: _mean,
    aten.addmm.default: _linear,
    aten.mm.default: _product,
}
# fmt: on
