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
    if not args or not isinstance(args[0], Tensor) or not args[0].is_floating_point():
        return None
    if func is aten.native_batch_norm.default:
        statistics = args[0].new_empty(args[0].shape[1])
        return torch.empty_like(args[0]), statistics, torch.empty_like(statistics)
    if func is aten.addmm.default:
        return _linear(*args[:3])
    if func is aten.mean.dim:
        return _mean(args[0], args[1], keep=len(args) > 2 and args[2]) if args[1] and len(args) <= 3 else None
    return _elementwise(func, args) if func in ELEMENTWISE else None


def _linear(bias: Tensor, left: Tensor, right: Tensor) -> Tensor | None:
    fits = left.shape[1] == right.shape[0] and bias.shape[-1:] in (right.shape[1:], (1,))
    return left.new_empty(left.shape[0], right.shape[1]) if fits and left.dtype == right.dtype else None


def _mean(images: Tensor, dims: list[int], *, keep: bool) -> Tensor | None:
    gone = {dim % images.ndim for dim in dims}
    shape = [1 if dim in gone else size for dim, size in enumerate(images.shape) if keep or dim not in gone]
    return images.new_empty(shape) if len(gone) == len(dims) else None


def _elementwise(func: Any, args: Any) -> Tensor | None:
    """The first operand's shape and type, if no other is larger or of another type."""
    tensors = [value for value in args if isinstance(value, Tensor)]
    largest = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))
    if largest != args[0].shape or any(tensor.dtype != args[0].dtype for tensor in tensors):
        return None
    result: Tensor = args[0] if func._schema.name.endswith("_") else torch.empty_like(args[0])
    return result
