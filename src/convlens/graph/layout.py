"""Which dimension of a tensor is which axis of the picture, through views, permutations and flattening.

A dimension is a run of factors (size, axis): the axis of the picture that it walks along, or None for batch and
channels. Flattening joins the factors of several dimensions into one, and a later view can take them apart again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

from convlens.graph.fields import AxisField

Factor = tuple[int, int | None]
Dimension = tuple[Factor, ...]
Shape = tuple[int, ...]


def plain(size: int) -> Dimension:
    return ((size, None),)


def size_of(dimension: Dimension) -> int:
    return prod(size for size, _ in dimension)


def axes_of(dimensions: Iterable[Dimension]) -> set[int]:
    return {axis for dimension in dimensions for _, axis in dimension if axis is not None}


@dataclass(frozen=True)
class Sight:
    """What a tensor sees: its dimensions, and one field for each axis of the picture."""

    dims: tuple[Dimension, ...]
    fields: tuple[AxisField, ...]

    @property
    def shape(self) -> Shape:
        return tuple(size_of(dim) for dim in self.dims)

    def with_field(self, axis: int, field: AxisField) -> Sight:
        return replace(self, fields=(*self.fields[:axis], field, *self.fields[axis + 1 :]))

    def with_dim(self, place: int, dim: Dimension) -> Sight:
        dims = list(self.dims)
        dims[place] = dim
        return replace(self, dims=tuple(dims))

    def mixed(self, axes: Iterable[int], *, keep: bool) -> Sight:
        """Along these axes every unit now sees what all did; `keep` when the axes are still walked along."""
        sight = self
        for axis in axes:
            extent = next((n for dim in self.dims for n, a in dim if a == axis), 1)
            sight = sight.with_field(axis, self.fields[axis].mixed(extent if keep else 1))
        if keep:
            return sight
        gone = set(axes)
        dims = tuple(plain(size_of(dim)) if axes_of([dim]) & gone else dim for dim in sight.dims)
        lost = axes_of(self.dims) - gone - axes_of(dims)
        return replace(sight, dims=dims).mixed(lost, keep=False) if lost else replace(sight, dims=dims)

    def at_most(self, axes: Iterable[int], *, keep: bool) -> Sight:
        """As `mixed`, of what may be seen: how much of it really is, nobody says."""
        chosen = tuple(axes)
        sight = self.mixed(chosen, keep=keep)
        for axis in chosen:
            sight = sight.with_field(axis, replace(sight.fields[axis], exact=False))
        return sight

    def all_mixed(self, shape: Shape) -> Sight:
        """Nothing is known but that everything may be seen; the axes are kept where the shape is unchanged."""
        if self.shape == shape:
            return self.at_most(range(len(self.fields)), keep=True)
        sight = self.at_most(range(len(self.fields)), keep=False)
        return replace(sight, dims=tuple(plain(size) for size in shape))

    def fitted(self, shape: Shape) -> Sight:
        """The sight of one of several outputs, whose shapes may differ along dimensions that are no axis."""
        if self.shape == shape:
            return self
        if len(self.dims) != len(shape):
            return self.all_mixed(shape)
        changed = [d for d, dim in enumerate(self.dims) if size_of(dim) != shape[d]]
        sight = self.at_most(axes_of(self.dims[d] for d in changed), keep=False)
        return replace(sight, dims=tuple(plain(shape[d]) if d in changed else dim for d, dim in enumerate(sight.dims)))

    def viewed(self, shape: Shape) -> Sight:
        """The same elements in order under another shape; an axis that would be split is mixed."""
        pending = [factor for dim in self.dims for factor in dim if factor[0] != 1]
        dims: list[Dimension] = []
        broken: set[int] = set()
        for size in shape:
            dim, pending, torn = _take(pending, size)
            dims.append(dim)
            broken |= torn
        sight = replace(self, dims=tuple(dims))
        missing = axes_of(self.dims) - axes_of(dims) - broken
        short = {axis for axis in missing if len(self.fields[axis].low) > 1}
        return sight.at_most(broken | short, keep=False)


def _take(pending: list[Factor], size: int) -> tuple[Dimension, list[Factor], set[int]]:
    """The factors that make up the next dimension of this size, those that are left, and the axes torn apart."""
    taken: list[Factor] = []
    torn: set[int] = set()
    rest = list(pending)
    need = size
    while need > 1 and rest:
        (available, axis), rest = rest[0], rest[1:]
        if need % available == 0:
            taken.append((available, axis))
            need //= available
            continue
        if axis is not None:
            torn.add(axis)
        if available % need == 0:
            rest = [(available // need, None), *rest]
            taken.append((need, None))
            need = 1
        else:
            torn |= {a for _, a in [*taken, *rest] if a is not None}
            return plain(size), [], torn
    return (tuple(taken) or plain(size)), rest, torn


def merged(sights: list[Sight], shape: Shape) -> Sight:
    """Element by element with broadcasting: each unit sees what any of its operands sees there."""
    aligned = [_aligned(sight, shape) for sight in sights]
    first, *others = aligned
    for other in others:
        clash = _clash(first, other)
        one, two = first.at_most(clash, keep=False), other.at_most(clash, keep=False)
        dims = tuple(a if axes_of([a]) else b for a, b in zip(one.dims, two.dims, strict=True))
        fields = tuple(a.union(b) for a, b in zip(one.fields, two.fields, strict=True))
        first = Sight(dims, fields)
    return first


def _aligned(sight: Sight, shape: Shape) -> Sight:
    """Broadcast to this shape: new dimensions in front, and those of size 1 stretched."""
    if len(sight.dims) > len(shape):
        return sight.all_mixed(shape)
    dims = (plain(1),) * (len(shape) - len(sight.dims)) + sight.dims
    stretched = tuple(dim if size_of(dim) == size else plain(size) for dim, size in zip(dims, shape, strict=True))
    lost = axes_of(dims) - axes_of(stretched)
    narrow = {axis for axis in lost if len(sight.fields[axis].low) > 1}
    return replace(sight, dims=stretched).mixed(narrow, keep=False)


def _clash(one: Sight, two: Sight) -> set[int]:
    """The axes that two sights have at different places."""
    clash: set[int] = set()
    for a, b in zip(one.dims, two.dims, strict=True):
        if axes_of([a]) and axes_of([b]) and a != b:
            clash |= axes_of([a, b])
    for axis in axes_of(one.dims) & axes_of(two.dims):
        if _place(one, axis) != _place(two, axis):
            clash.add(axis)
    return clash


def _place(sight: Sight, axis: int) -> int:
    return next(d for d, dim in enumerate(sight.dims) if axis in axes_of([dim]))
