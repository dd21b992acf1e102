"""Operations of torch, as a trace shows them -> layers of `convlens.scratch` with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from convlens.errors import NetworkError
from convlens.graph import Node, Operand
from convlens.scratch import (
    AveragePooling,
    BatchNorm,
    Convolution,
    Dense,
    Flatten,
    Layer,
    MaxPooling,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)

Weights = Mapping[str, Tensor]
PADS = frozenset({"replication_pad2d", "constant_pad_nd"})  # margins of the convolution that follows
DRAWS = frozenset({"bernoulli", "bernoulli_", "native_dropout", "rand_like", "randn_like", "rand", "randn"})
SAME = frozenset({"clone", "detach", "alias", "view", "_unsafe_view", "contiguous"})  # where the shape stays


@dataclass(frozen=True)
class Found:
    """A layer, and the name that its weights have in the torch network; None where it has none."""

    layer: Layer
    name: str | None = None


def no_layer(node: Node, reason: str) -> NetworkError:
    where = f"layer '{node.module}' ({node.module_type})" if node.module else "the network itself"
    return NetworkError(
        f"{where} has the operation '{node.op}': {reason}; scratch has chains of convolution, dense, max and average "
        "pooling, batch norm, dropout, flatten, relu, sigmoid, tanh and softmax"
    )


def _convolution(node: Node, pads: list[Node], weights: Weights) -> Found:
    given = node.arguments
    if given["transposed"] or set(given["dilation"]) != {1} or len(given["weight"].shape) != 4:
        raise no_layer(node, "scratch has 2-D convolutions without dilation, and no transposed ones")
    channels, per_group, *kernel = given["weight"].shape
    margins, mode = _margins(node, pads)
    layer = Convolution(
        per_group * given["groups"],
        channels,
        (kernel[0], kernel[1]),
        stride=given["stride"],
        padding=margins,
        padding_mode=mode,
        groups=given["groups"],
        bias=given["bias"] is not None,
    )
    return _filled(layer, node, weights, weight=given["weight"], bias=given["bias"])


def _margins(node: Node, pads: list[Node]) -> tuple[Any, str]:
    """((top, bottom), (left, right)) of the convolution and of what pads before it, and what is in them."""
    down, across = node.arguments["padding"]
    if not pads:
        return ((down, down), (across, across)), "zeros"
    pad, *others = pads
    edges: tuple[int, ...] = tuple(pad.arguments["padding" if pad.op == "replication_pad2d" else "pad"])
    left, right, top, bottom, *outer = (*edges, 0, 0, 0, 0)[: max(4, len(edges))]
    replicated = pad.op == "replication_pad2d"
    if others or any(outer) or min(left, right, top, bottom) < 0 or pad.arguments.get("value", 0) not in (0, None):
        raise no_layer(pad, "scratch pads with zeros or with the edge, rows and columns alone, once")
    if replicated and (down or across):
        raise no_layer(pad, "a convolution of scratch has margins of one kind")
    pads.clear()
    return ((top + down, bottom + down), (left + across, right + across)), "replicate" if replicated else "zeros"


def _dense(node: Node, pads: list[Node], weights: Weights) -> Found:
    given = node.arguments
    x, weight, bias = (
        (given["mat1"], given["mat2"], given["self"]) if node.op == "addmm" else (given["self"], given["mat2"], None)
    )
    if given.get("alpha", 1) != 1 or given.get("beta", 1) != 1 or x.node is None:
        raise no_layer(node, "it is not weight times input plus bias")
    layer = Dense(weight.shape[0], weight.shape[1], bias=bias is not None)
    return _filled(layer, node, weights, weight=weight, bias=bias)


def _batch_norm(node: Node, pads: list[Node], weights: Weights) -> Found:
    given, names = node.arguments, ("weight", "bias", "running_mean", "running_var")
    if not all(isinstance(given[name], Operand) for name in names):
        raise no_layer(node, "scratch's batch norm has weights and running statistics")
    if not given["momentum"]:
        raise no_layer(node, "its running statistics are means of all batches, or stand still")
    layer = BatchNorm(given["weight"].shape[0], momentum=given["momentum"], epsilon=given["eps"])
    found = _filled(layer, node, weights, **{name: given[name] for name in names})
    counter = weights.get(f"{found.name}.num_batches_tracked")
    if counter is not None:
        layer.buffers["num_batches_tracked"] = counter.numpy().copy()
    return found


def _filled(layer: Layer, node: Node, weights: Weights, **operands: Operand | None) -> Found:
    """The layer with the weights that these operands are, under the name that they share."""
    own = None
    for key, operand in operands.items():
        if operand is None:
            continue
        if operand.node is not None or not operand.names or operand.names[0] not in weights:
            raise no_layer(node, f"its {key} is computed, expected a parameter")
        arrays = layer.parameters if key in layer.parameters else layer.buffers
        value = weights[operand.names[0]].double().numpy()
        if value.shape != arrays[key].shape:
            raise no_layer(node, f"its {key} has shape {value.shape}, expected {arrays[key].shape}")
        if not _lies(operand, weights[operand.names[0]], turned=key == "weight" and isinstance(layer, Dense)):
            way = "transposed, as nn.Linear reads it" if isinstance(layer, Dense) else "as it lies"
            raise no_layer(node, f"its {key} is another view of '{operand.names[0]}', expected all of it, {way}")
        arrays[key] = value.copy()
        own = own or operand.names[0].removesuffix(f".{key}")
    return Found(layer, own)


def _lies(operand: Operand, parameter: Tensor, *, turned: bool) -> bool:
    """Whether this is all of the parameter as it lies, or turned: shapes alone do not tell where it is square."""
    like = torch.empty_like(parameter, device="meta")  # as the trace had it
    like = like.T if turned else like
    places = zip(operand.shape, operand.strides, like.stride(), strict=True)
    return operand.shape == like.shape and not operand.offset and all(one == two for n, one, two in places if n > 1)


def _pooling(make: Callable[..., Layer]) -> Callable[[Node, list[Node], Weights], Found]:
    def translate(node: Node, pads: list[Node], weights: Weights) -> Found:
        given = node.arguments
        kernel, stride, padding = (_two(given[name]) for name in ("kernel_size", "stride", "padding"))
        counted = given.get("count_include_pad", True) or padding == (0, 0)
        odd = set(given.get("dilation", (1,))) != {1} or given.get("divisor_override") is not None
        if given["ceil_mode"] or odd or not counted:
            raise no_layer(node, "scratch has no dilation, ceil_mode, or margins that do not count")
        return Found(make(kernel, stride=stride or kernel, padding=padding))

    return translate


def _two(value: Any) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, tuple | list) else (value,)
    return values * 2 if len(values) == 1 else values


def _whole_map(node: Node, pads: list[Node], weights: Weights) -> Found:
    """The mean over rows and columns, as torch's AdaptiveAvgPool2d(1)."""
    shape = node.operands()[0].shape
    axes = {axis % len(shape) for axis in node.arguments["dim"] or ()}
    if len(shape) != 4 or axes != {2, 3} or not node.arguments["keepdim"]:
        raise no_layer(node, "scratch has the mean over rows and columns that keeps them")
    return Found(AveragePooling())


def _adaptive(node: Node, pads: list[Node], weights: Weights) -> Found:
    """Windows side by side, where the sizes divide."""
    size, wanted = node.operands()[0].shape[2:], node.output_shape[2:]
    if any(whole % part for whole, part in zip(size, wanted, strict=True)):
        raise no_layer(node, f"{size} pixels are no whole number of windows for {wanted}")
    return Found(AveragePooling((size[0] // wanted[0], size[1] // wanted[1])))


def _flatten(node: Node, pads: list[Node], weights: Weights) -> Found:
    shape = node.operands()[0].shape
    if node.output_shape != (shape[0], prod(shape[1:])):
        raise no_layer(node, f"{shape} becomes {node.output_shape}, expected features of each picture")
    return Found(Flatten())


def _softmax(node: Node, pads: list[Node], weights: Weights) -> Found:
    if node.arguments["dim"] % len(node.output_shape) != 1:
        raise no_layer(node, "scratch's softmax is over the channels or features")
    return Found(Softmax())


def _plain(make: Callable[[], Layer]) -> Callable[[Node, list[Node], Weights], Found]:
    return lambda node, pads, weights: Found(make())


TRANSLATE: Mapping[str, Callable[[Node, list[Node], Weights], Found]] = {
    "convolution": _convolution,
    "addmm": _dense,
    "mm": _dense,
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "max_pool2d_with_indices": _pooling(MaxPooling),
    "max_pool2d": _pooling(MaxPooling),
    "avg_pool2d": _pooling(AveragePooling),
    "mean": _whole_map,
    "_adaptive_avg_pool2d": _adaptive,
    "adaptive_avg_pool2d": _adaptive,
    "view": _flatten,
    "_unsafe_view": _flatten,
    "relu": _plain(ReLU),
    "sigmoid": _plain(Sigmoid),
    "tanh": _plain(Tanh),
    "_softmax": _softmax,
    "softmax": _softmax,
}
