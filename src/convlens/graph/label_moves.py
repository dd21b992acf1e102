"""What operations that take apart, put together and move do with labels."""

from __future__ import annotations

import numpy as np

from convlens.graph.label_rules import is_parameter, rule, unknown
from convlens.graph.labels import FIXED, LabelBook, Labels, compact, fixed, placed, reshaped, stretched, varies
from convlens.graph.nodes import Node


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
    if any(is_parameter(operand) for operand in operands):
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
        book.cut(node, whole, len(sizes), dim)
    ends = np.cumsum(sizes)[:-1]
    parts = [compact(part) for part in np.split(whole, ends, axis=dim)]
    return [part.take(0, axis=dim) for part in parts] if node.op == "unbind" else parts


@rule("glu")
def gated(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    """The second half of the channels is the gate of the first."""
    labels = seen[0]
    dim = node.arguments["dim"] % labels.ndim
    if labels.shape[dim] == 1:
        return labels
    book.cut(node, labels, 2, dim)
    first, second = np.split(labels, 2, axis=dim)
    book.tie(first, second)
    return first


@rule("slice")
def slice_(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    given, labels = node.arguments, seen[0]
    dim = given["dim"] % labels.ndim
    size, taken = labels.shape[dim], node.output_shape[dim]
    if size == 1 or taken == size:
        return labels
    if taken == 0:
        return fixed(labels.ndim)
    start = given["start"] or 0
    start = max(start + size, 0) if start < 0 else start
    if given["step"] != 1 or size % taken or start % taken:
        book.stay(node, labels, "it takes some of the channels by their numbers")
    book.cut(node, labels, size // taken, dim)
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
    book.cut(node, labels, groups, 1)
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
