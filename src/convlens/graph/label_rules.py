"""What each operation does with labels. An operation without a rule leaves what it reads as it is: all of it stays.

A rule must hold to this: where the units that are removed are zero everywhere, removing them changes no answer. So what
takes a mean over channels, or compares them, keeps them all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convlens.graph.labels import FIXED, LabelBook, Labels, compact, fixed, placed, varies
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


def pointwise(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    """Numbers that meet are one unit; a number that meets those of several units stays, and they do not."""
    rank = len(node.output_shape)
    operands = node.operands()
    made = [(o, labels) for o, labels in zip(operands, seen, strict=True) if not is_parameter(o)]
    joint = None
    for operand, labels in made:
        if len(operand.shape) > rank:
            return unknown(node, seen, book)
        labels = labels.reshape((1,) * (rank - labels.ndim) + labels.shape)
        shape = (1,) * (rank - len(operand.shape)) + operand.shape
        joint = (labels, shape) if joint is None else _met(node, book, joint, (labels, shape))
    joint = (fixed(rank), (1,) * rank) if joint is None else joint
    for operand in operands:
        if is_parameter(operand):
            joint = _met_parameter(node, book, joint, operand)
    return joint[0]


def is_parameter(operand: Operand) -> bool:
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
    """(N, C, …): each channel by itself; of fewer dimensions, the windows may lie over channels."""
    labels = seen[0]
    sides = next(int(sign) for sign in node.op if sign.isdigit())  # of a window: "max_pool2d_with_indices"
    over = any(side > 1 for side in labels.shape[-sides:])
    if over and labels.ndim < sides + 2:
        return unknown(node, seen, book, "it goes over channels")
    if over:
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


@rule("native_group_norm", "native_layer_norm")
def norm_of_one_picture(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    return unknown(node, seen, book, "it goes over channels")


@rule("_softmax", "_log_softmax", "cumsum", "sort", "topk")
def over_one(node: Node, seen: list[Labels], book: LabelBook) -> Labels:
    labels = seen[0]
    return (
        unknown(node, seen, book, "it goes over channels")
        if labels.shape[node.arguments["dim"] % labels.ndim] > 1
        else labels
    )
