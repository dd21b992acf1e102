"""Labels: which units of a network's parameters and tensors belong together.

Every index of every dimension of a parameter that has to do with channels gets a label, and every number of a tensor
of the trace has the label of the unit that it belongs to. Labels of a tensor are an array of its rank whose sides are
those of the tensor, or 1 where all along that dimension have the same. Label 0 is that of what stays as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import nn

from convlens.graph.nodes import Node, Operand, Shape

Labels = np.ndarray
Key = tuple[str, int]  # a parameter or buffer, and one of its dimensions; or the padding of a module, and its node
FIXED = 0


class Cut(NamedTuple):
    """Channels that a network takes apart into equal parts, in their order.

    The labels have a dimension for the parts and one for what each of them holds, (parts, n), or those of a view.
    """

    labels: Labels
    parts: int
    op: str
    node: int


class Stay(NamedTuple):
    """Why units stay: the operation, the path of its module, and the reason."""

    op: str
    module: str
    reason: str
    labels: Labels


class LabelBook:
    """Gives labels to the dimensions of a network's parameters and notes which of them are one unit."""

    def __init__(self, model: nn.Module) -> None:
        self.modules = dict(model.named_modules())
        named = dict(model.named_parameters()) | dict(model.named_buffers())
        self.shapes: dict[str, Shape] = {name: tuple(t.shape) for name, t in named.items()}
        self.strides: dict[str, Shape] = {name: t.stride() for name, t in named.items()}
        self.given: dict[Key, Labels] = {}
        self.producers: set[Key] = set()
        self.parts: dict[Key, Labels] = {}  # which group of a convolution, or which side of a padding, each index is in
        self.ties: list[Labels] = []  # (2, n)
        self.cuts: list[Cut] = []
        self.stays: list[Stay] = []
        self.fragile: set[int] = set()  # nodes whose sizes a forward may have written down as numbers
        self.blocked: set[str] = set()  # parameters that operations without a rule read
        self.count = FIXED + 1

    def of(self, key: Key, size: int) -> Labels:
        """The labels of one dimension, new ones where it has none yet."""
        if key not in self.given:
            self.given[key] = np.arange(self.count, self.count + size)
            self.count += size
        return self.given[key]

    def tie(self, one: Labels, two: Labels) -> None:
        """These are the same units."""
        first, second = np.broadcast_arrays(one, two)
        differ = first != second
        if differ.any():
            self.ties.append(np.unique(np.stack([first[differ], second[differ]]), axis=1))

    def stay(self, node: Node, labels: Labels, reason: str) -> None:
        """These units stay."""
        found = np.unique(labels)
        found = found[found != FIXED]
        if len(found):
            self.ties.append(np.stack([found, np.zeros_like(found)]))
            self.stays.append(Stay(node.op, node.module, reason, found))

    def cut(self, node: Node, labels: Labels, parts: int, dim: int | None = None) -> None:
        """Along one dimension; without it, the labels have been taken apart."""
        self.fragile.add(node.index)
        if parts > 1 and varies(labels):
            if dim is not None and labels.shape[dim] % parts == 0:
                labels = np.moveaxis(labels, dim, 0).reshape(parts, -1)
            self.cuts.append(Cut(labels, parts, node.op, node.index))

    def whole(self, operand: Operand) -> str | None:
        """The name of the parameter that this is, all of it as it lies."""
        if operand.node is not None or len(operand.names) != 1:
            return None
        (name,) = operand.names
        whole = (operand.shape, operand.offset) == (self.shapes[name], 0)
        return name if whole and self._axes(operand) == list(range(len(operand.shape))) else None

    def _axes(self, operand: Operand) -> list[int]:
        found = self.axes(operand) or []
        return [place if axis is None else axis[0] for place, axis in enumerate(found)]

    def axes(self, operand: Operand) -> list[tuple[int, np.ndarray] | None] | None:
        """For each dimension of a view of a parameter: along which of the parameter's it goes, and by which indices.

        None for a dimension that goes along none; None for all where two go along one, or one along two.
        """
        (name,) = operand.names
        found: list[tuple[int, np.ndarray] | None] = []
        for side, stride in zip(operand.shape, operand.strides, strict=True):
            places = self._places(name, operand.offset + stride * np.arange(side))
            moving = [dim for dim, at in enumerate(places) if (at != at[:1]).any()]
            if len(moving) > 1 or any(one is not None and one[0] in moving for one in found):
                return None
            found.append((moving[0], places[moving[0]]) if moving else None)
        return found

    def _places(self, name: str, flat: np.ndarray) -> list[np.ndarray]:
        """Places in memory -> indices along each dimension of the parameter."""
        shape, strides = self.shapes[name], self.strides[name]
        places = [np.zeros_like(flat) for _ in shape]
        for dim in sorted(range(len(shape)), key=lambda d: -strides[d]):
            if shape[dim] > 1:
                places[dim], flat = flat // strides[dim], flat % strides[dim]
        return places

    def along(self, labels: Labels, dim: int, size: int) -> Labels:
        """(size,): the label of each index of one dimension; what lies at one index is one unit from then on."""
        rows = np.moveaxis(labels, dim, 0).reshape(labels.shape[dim], -1)
        self.tie(rows[:, :1], rows)
        return np.broadcast_to(rows[:, 0], (size,))

    def of_view(self, operand: Operand, dim: int = 0) -> Labels | None:
        """(n,): the labels along one dimension of a view of a parameter; None where it cannot be followed."""
        axes = self.axes(operand)
        if axes is None:
            return None
        axis = axes[dim]
        if axis is None:
            return np.full(operand.shape[dim], FIXED)
        (name,) = operand.names
        return self.of((name, axis[0]), self.shapes[name][axis[0]])[axis[1]]


def varies(labels: Labels) -> bool:
    return bool((labels != labels.flat[0]).any())


def compact(labels: Labels) -> Labels:
    """Sides along which all labels are the same become 1."""
    for dim, side in enumerate(labels.shape):
        if side > 1 and (labels == (first := labels.take([0], axis=dim))).all():
            labels = first
    return labels


def placed(line: Labels, dim: int, rank: int) -> Labels:
    """(n,) -> rank dimensions of 1 but for n at `dim`."""
    return compact(line.reshape([len(line) if place == dim else 1 for place in range(rank)]))


def fixed(rank: int) -> Labels:
    return np.zeros([1] * rank, dtype=np.int64)


def stretched(labels: Labels, dim: int, size: int) -> Labels:
    """`size` numbers along one dimension, where it was 1."""
    return np.broadcast_to(labels, [size if place == dim else side for place, side in enumerate(labels.shape)])


def reshaped(labels: Labels, old: Shape, new: Shape) -> tuple[Labels, list[int]]:
    """The labels in another shape of as many numbers, and into how many parts it takes each stretch of channels."""
    full, final, apart = list(labels.shape), [1] * len(new), []
    for before, after in stretches(old, new):
        if max((labels.shape[d] for d in before), default=1) == 1:
            continue
        for dim in before:
            full[dim] = old[dim]
        for dim in after:
            final[dim] = new[dim]
        if sum(new[d] > 1 for d in after) > 1:
            apart.append(after)
    moved = compact(np.broadcast_to(labels, full).reshape(final))
    apart = [after for after in apart if sum(moved.shape[d] > 1 for d in after) > 1]
    return moved, [next(new[d] for d in after if new[d] > 1) for after in apart]


def stretches(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """The shortest runs of dimensions, before and after, that hold as many numbers."""
    found, i, j = [], 0, 0
    while i < len(old) or j < len(new):
        before, after = [i] if i < len(old) else [], [j] if j < len(new) else []
        i, j = i + len(before), j + len(after)
        while (left := _product(old, before)) != (right := _product(new, after)):
            if left < right:
                before.append(i)
                i += 1
            else:
                after.append(j)
                j += 1
        found.append((before, after))
    return found


def _product(shape: Shape, dims: list[int]) -> int:
    return int(np.prod([shape[d] for d in dims], dtype=np.int64))
