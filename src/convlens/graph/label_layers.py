"""What layers with parameters do with labels: they end those that they read, and make new ones."""

from __future__ import annotations

import numpy as np

from convlens.graph.label_rules import rule, unknown
from convlens.graph.labels import LabelBook, Labels, placed
from convlens.graph.nodes import Node, Operand

READING = ("convolution", "mm", "addmm", "embedding")  # which make channels of their own


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
        book.cut(node, book.given[name, dim], groups, 0)


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
