"""What each operation does with labels. An operation without a rule leaves what it reads as it is: all of it stays.

A rule must hold to this: where the units that are removed are zero everywhere, removing them changes no answer. So what
takes a mean over channels, or compares them, keeps them all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convlens.graph.labels import FIXED, LabelBook, Labels, compact, fixed, placed, reshaped, stretched, varies
from convlens.graph.nodes import Node, Operand

Rule = Callable[[Node, list[Labels], LabelBook], "Labels | list[Labels]"]
RULES: dict[str, Rule] = {}
# fmt: off
WINDOWS = (
    "max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d", "avg_pool2d",
    "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "max_pool2d", "upsample_nearest1d",
    "upsample_nearest2d", "upsample_nearest3d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_linear1d",
    "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d",
)
REDUCTIONS = (
    "mean", "sum", "amax", "amin", "max", "min", "var", "std", "prod", "logsumexp", "linalg_vector_norm", "norm", "any",
    "all", "argmax", "argmin", "var_mean",
)
SAME = (
    "alias", "detach", "lift_fresh", "contiguous", "native_dropout", "zeros_like", "ones_like", "full_like",
    "empty_like",
)
# fmt: on


def rule(*names: str) -> Callable[[Rule], Rule]:
    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return add


def unknown(
    node: Node, seen: list[Labels], book: LabelBook, reason: str = "what it does with channels is not known"
) -> Labels:
    for labels in seen:
        book.stay(node, labels, reason)
    book.blocked.update(node.parameters)
    return fixed(len(node.output_shape))


@rule("convolution")
def convolution(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    """Filters are (K, C / groups, …), transposed ones (C, K, …). Of several groups each loses as many channels."""
    given = node.arguments
    weight, bias, groups = given["weight"], given["bias"], given["groups"]
    name = book.whole(weight)
    if name is None or len(node.operands()[0].shape) != len(weight.shape) or (given["transposed"] and groups > 1):
        return unknown(node, seen, book, "its filters are no parameter of the network as it lies")
    channels = book.along(seen[0], 1, node.operands()[0].shape[1])
    dim = 1 if given["transposed"] else 0
    units = book.of((name, dim), weight.shape[dim])
    book.producers.add((name, dim))
    if groups == 1:
        book.tie(book.of((name, 1 - dim), len(channels)), channels)
    elif weight.shape[1] == 1:
        book.fragile.add(node.index)
        book.tie(np.repeat(channels, len(units) // groups), units)
    else:
        _grouped(node, book, (name, channels, units), groups)
    _add_bias(node, seen, book, bias, units)
    return placed(units, 1, len(node.output_shape))


def _grouped(node: Node, book: LabelBook, layer: tuple[str, Labels, Labels], groups: int) -> None:
    """The second dimension counts as if it had the channels of all groups."""
    name, channels, units = layer
    book.tie(book.of((name, 1), len(channels)), channels)
    for dim, labels in ((0, units), (1, channels)):
        book.parts[name, dim] = np.repeat(np.arange(groups), len(labels) // groups)
        book.cut(node, book.given[name, dim], groups)


def _add_bias(node: Node, seen: list[Labels], book: LabelBook, bias: Operand | None, units: Labels) -> None:
    if bias is None:
        return
    if bias.node is None:
        labels = book.of_view(bias, len(bias.shape) - 1) if bias.names else None
    else:
        labels = book.along(seen[node.operands().index(bias)], len(bias.shape) - 1, len(units))
    if labels is None:
        return book.stay(node, units, "what it adds is no parameter of the network as it lies")
    book.tie(labels, units)


@rule("mm", "addmm")
def matrix_product(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    """(N, D) x (D, K), the second a parameter, turned or not."""
    given = node.arguments
    left, right = (given["mat1"], given["mat2"]) if node.op == "addmm" else (given["self"], given["mat2"])
    axes = book.axes(right) if right.node is None and len(right.names) == 1 else None
    if axes is None or left.node is None or (None in axes and min(right.shape) > 1):
        return unknown(node, seen, book, "it multiplies by what is no parameter of the network as it lies")
    read, made = (book.of_view(right, dim) for dim in (0, 1))
    assert read is not None and made is not None
    book.tie(read, book.along(seen[node.operands().index(left)], 1, left.shape[1]))
    if axes[1] is not None:
        book.producers.add((right.names[0], axes[1][0]))
    _add_bias(node, seen, book, given["self"] if node.op == "addmm" else None, made)
    return placed(made, 1, 2)


@rule("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm")
def batch_norm(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    operands = node.operands()
    channels = book.along(seen[0], 1, operands[0].shape[1])
    for operand, labels in zip(operands[1:], seen[1:], strict=True):
        if operand.node is None and operand.names:
            found = book.of_view(operand)
        else:
            found = book.along(labels, 0, len(channels))
        if found is None:
            book.stay(node, channels, "its numbers are no parameters of the network as they lie")
        else:
            book.tie(found, channels)
    return placed(channels, 1, len(node.output_shape))


@rule("embedding")
def embedding(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    name = book.whole(node.arguments["weight"])
    if name is None:
        return unknown(node, seen, book)
    book.producers.add((name, 1))
    rank = len(node.output_shape)
    return placed(book.of((name, 1), book.shapes[name][1]), rank - 1, rank)


def pointwise(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    """Numbers that meet are one unit; a number that meets those of several units stays, and they do not."""
    rank = len(node.output_shape)
    operands = node.operands()
    made = [(o, labels) for o, labels in zip(operands, seen, strict=True) if not _is_parameter(o)]
    joint = None
    for operand, labels in made:
        if len(operand.shape) > rank:
            return unknown(node, seen, book)
        labels = labels.reshape((1,) * (rank - labels.ndim) + labels.shape)
        shape = (1,) * (rank - len(operand.shape)) + operand.shape
        joint = (labels, shape) if joint is None else _met(node, book, joint, (labels, shape))
    joint = (fixed(rank), (1,) * rank) if joint is None else joint
    for operand in operands:
        if _is_parameter(operand):
            joint = _met_parameter(node, book, joint, operand)
    return joint[0]


def _is_parameter(operand: Operand) -> bool:
    return operand.node is None and bool(operand.names)


Met = tuple[Labels, tuple[int, ...]]


def _met(node: Node, book: LabelBook, one: Met, two: Met) -> Met:
    """Labels and shapes of two, brought to one rank -> of both together."""
    shape = tuple(max(a, b) for a, b in zip(one[1], two[1], strict=True))
    hidden = []
    for (labels, sides), (other, _) in ((one, two), (two, one)):
        repeated = any(
            side == 1 < whole and other.shape[d] > 1 for d, (side, whole) in enumerate(zip(sides, shape, strict=True))
        )
        hidden.append(repeated)
        if repeated:
            book.stay(node, labels, "each of its channels meets several others")
    if all(hidden):
        return fixed(len(shape)), shape
    if any(hidden):
        return (two if hidden[0] else one)[0], shape
    first, second = np.broadcast_arrays(one[0], two[0])
    for labels, met in ((first, second), (second, first)):
        book.stay(node, labels[met == FIXED], "it meets numbers that stay")
    book.tie(one[0], two[0])
    return compact(np.where(first == FIXED, second, first)), shape


def _met_parameter(node: Node, book: LabelBook, joint: Met, operand: Operand) -> Met:
    labels, shape = joint
    rank = len(shape)
    ahead = rank - len(operand.shape)
    sides = [d + ahead for d, side in enumerate(operand.shape) if side > 1]
    along = [d for d in sides if labels.shape[d] > 1]
    repeated = any(side > 1 and labels.shape[d] > 1 and d not in sides for d, side in enumerate(shape))
    if (not along and repeated) or not sides:
        return labels, shape  # one number for all
    line = book.of_view(operand, along[0] - ahead) if len(along) == 1 and (len(sides) == 1 or not repeated) else None
    if line is None:
        if varies(labels):
            book.blocked.update(operand.names)
        book.stay(node, labels, "the parameter that it meets cannot be followed")
        return fixed(rank), shape
    return _met(node, book, joint, (placed(line, along[0], rank), shape))


@rule(*SAME)
def same(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    return seen[0]


@rule(*WINDOWS)
def windows(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    """(N, C, …): each channel by itself."""
    labels = seen[0]
    if any(side > 1 for side in labels.shape[2:]):
        labels = placed(book.along(labels, 1, labels.shape[1]), 1, labels.ndim)
    return labels


@rule(*REDUCTIONS)
def reduction(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    given, labels = node.arguments, seen[0]
    asked = given.get("dim")
    dims = range(labels.ndim) if asked is None or asked == () else (asked,) if isinstance(asked, int) else asked
    dims = [dim % max(1, labels.ndim) for dim in dims]
    if any(labels.shape[dim] > 1 for dim in dims):
        return unknown(node, seen, book, "it goes over channels")
    shape = labels.shape if given.get("keepdim") else [s for d, s in enumerate(labels.shape) if d not in dims]
    return labels.reshape(shape) if len(shape) == len(node.output_shape) else fixed(len(node.output_shape))


@rule("_softmax", "_log_softmax", "cumsum", "sort", "topk")
def over_one(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    labels = seen[0]
    return (
        unknown(node, seen, book, "it goes over channels")
        if labels.shape[node.arguments["dim"] % labels.ndim] > 1
        else labels
    )


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze", "unsqueeze")
def view(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    labels, parts = reshaped(seen[0], node.operands()[0].shape, node.output_shape)
    if varies(labels):
        book.fragile.add(node.index)
    for count in parts:
        book.cut(node, labels, count)
    return labels


@rule("permute", "transpose", "t")
def permute(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    order = list(range(seen[0].ndim))
    if node.op == "permute":
        order = [dim % len(order) for dim in node.arguments["dims"]]
    elif len(order) >= 2:
        one, two = (node.arguments.get(key, at) % len(order) for key, at in (("dim0", 0), ("dim1", 1)))
        order[one], order[two] = order[two], order[one]
    return seen[0].transpose(order)


@rule("expand")
def expand(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    labels = seen[0]
    if varies(labels):
        book.fragile.add(node.index)
    return labels.reshape((1,) * (len(node.output_shape) - labels.ndim) + labels.shape)


@rule("cat", "stack")
def concatenate(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    dim, operands = node.arguments["dim"] % len(node.output_shape), node.operands()
    if any(_is_parameter(operand) for operand in operands):
        return unknown(node, seen, book)
    if node.op == "stack":
        parts = [stretched(np.expand_dims(labels, dim), dim, 1) for labels in seen]
    else:
        full = [(o, labels) for o, labels in zip(operands, seen, strict=True) if len(o.shape) == len(node.output_shape)]
        parts = [stretched(labels, dim, operand.shape[dim]) for operand, labels in full]
    sides = [max(part.shape[d] for part in parts) for d in range(len(node.output_shape))]
    grown = [np.broadcast_to(p, [p.shape[d] if d == dim else side for d, side in enumerate(sides)]) for p in parts]
    return compact(np.concatenate(grown, axis=dim))


@rule("split", "split_with_sizes", "unsafe_split", "chunk", "unbind")
def split(node: Node, seen: list[Labels], book: LabelBook) -> list[Labels]:
    """A list, one for every part."""
    given, shape = node.arguments, node.operands()[0].shape
    dim = given["dim"] % len(shape)
    size = 1 if node.op == "unbind" else given.get("split_size", given.get("split_sizes"))
    sizes = list(size) if isinstance(size, tuple) else [size] * -(-shape[dim] // size)
    whole = stretched(seen[0], dim, shape[dim])
    if seen[0].shape[dim] > 1:
        if len(set(sizes)) > 1 or shape[dim] % sizes[0] or node.op == "unbind":
            book.stay(node, seen[0], "it takes channels apart into unequal parts or single ones")
        book.cut(node, whole, len(sizes))
    ends = np.cumsum(sizes)[:-1]
    parts = [compact(part) for part in np.split(whole, ends, axis=dim)]
    return [part.take(0, axis=dim) for part in parts] if node.op == "unbind" else parts


@rule("slice")
def slice_(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    given, labels = node.arguments, seen[0]
    dim = given["dim"] % labels.ndim
    size, taken = labels.shape[dim], node.output_shape[dim]
    if size == 1 or taken == size:
        return labels
    start = given["start"] or 0
    start = max(start + size, 0) if start < 0 else start
    if given["step"] != 1 or size % taken or start % taken:
        book.stay(node, labels, "it takes some of the channels by their numbers")
    book.cut(node, labels, size // taken)
    return compact(labels.take(start + given["step"] * np.arange(taken), axis=dim))


@rule("select")
def select(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    labels = seen[0]
    dim = node.arguments["dim"] % labels.ndim
    if labels.shape[dim] > 1:
        book.stay(node, labels, "it takes one of the channels by its number")
        return labels.take(node.arguments["index"], axis=dim)
    return labels.take(0, axis=dim)


@rule("flip", "roll", "index", "index_select", "gather")
def rearranged(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    """Along what are no channels."""
    given, labels = node.arguments, seen[0]
    if node.op not in ("flip", "roll") or not given["dims"]:
        return unknown(node, seen, book, "it takes channels by their numbers")
    moved = any(labels.shape[dim % labels.ndim] > 1 for dim in given["dims"])
    return unknown(node, seen, book, "it changes the order of channels") if moved else labels


@rule("constant_pad_nd")
def pad(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    """New channels of zeros can go where the module holds their number, as `padding`."""
    amounts, labels = node.arguments["pad"], seen[0]
    shape = node.operands()[0].shape
    for place in range(len(amounts) // 2):
        dim, sides = len(shape) - 1 - place, amounts[2 * place : 2 * place + 2]
        if labels.shape[dim] == 1 or not any(sides):
            continue
        if min(sides) < 0:
            return unknown(node, seen, book)
        before, after = _new_channels(node, book, place, sides)
        widths = [[side if d == dim else s for d, s in enumerate(labels.shape)] for side in sides]
        lines = [
            np.broadcast_to(placed(line, dim, len(shape)), width)
            for line, width in zip((before, after), widths, strict=True)
        ]
        labels = np.concatenate([lines[0], labels, lines[1]], axis=dim)
    return compact(labels)


def _new_channels(node: Node, book: LabelBook, place: int, sides: tuple[int, ...]) -> tuple[Labels, Labels]:
    held = getattr(book.modules.get(node.module), "padding", None)
    if not isinstance(held, tuple) or held != tuple(node.arguments["pad"]):
        return np.full(sides[0], FIXED), np.full(sides[1], FIXED)
    key = (f"{node.module}.padding", place)
    line = book.of(key, sum(sides))
    book.parts[key] = np.repeat([0, 1], sides)
    return line[: sides[0]], line[sides[0] :]


@rule("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    """(N, C, …) -> the first of each group, then the second of each …"""
    groups, labels = node.arguments["groups"], seen[0]
    if labels.shape[1] == 1:
        return labels
    book.cut(node, labels, groups)
    rows = labels.reshape(labels.shape[0], groups, -1, *labels.shape[2:])
    return rows.swapaxes(1, 2).reshape(labels.shape)


@rule("pixel_shuffle")
def pixel_shuffle(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    """(N, C r r, H, W) -> (N, C, H r, W r): what becomes one channel is one unit."""
    labels, r = seen[0], node.arguments["upscale_factor"]
    if labels.shape[1] == 1:
        return labels
    line = book.along(labels, 1, labels.shape[1]).reshape(-1, r * r)
    book.tie(line[:, :1], line)
    return placed(line[:, 0], 1, labels.ndim)


@rule("pixel_unshuffle")
def pixel_unshuffle(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    labels, r = seen[0], node.arguments["downscale_factor"]
    if labels.shape[1] == 1:
        return labels
    return placed(np.repeat(book.along(labels, 1, labels.shape[1]), r * r), 1, labels.ndim)
