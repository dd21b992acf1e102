"""What an operation of several tensors sees, element by element: each unit sees what any of its operands sees there."""

from __future__ import annotations

from dataclasses import replace

from convlens.graph.factors import Shape, axes_of, plain, size_of
from convlens.graph.layout import Sight


def merged(sights: list[Sight], shape: Shape) -> Sight:
    """With broadcasting to this shape."""
    first, *others = (_aligned(sight, shape) for sight in sights)
    for other in others:
        clash = _clash(first, other)
        one, two = first.at_most(clash, keep=False), other.at_most(clash, keep=False)
        dims = tuple(a if axes_of([a]) else b for a, b in zip(one.dims, two.dims, strict=True))
        fields = tuple(a.union(b) for a, b in zip(one.fields, two.fields, strict=True))
        first = Sight(dims, fields, first.uneven or other.uneven)
    return first


def differ(sights: list[Sight]) -> bool:
    """Does any see other things at the same unit than the first one does?"""
    first, *others = (sight.fields for sight in sights)
    return any(not one.same_as(two) for other in others for one, two in zip(first, other, strict=True))


def _aligned(sight: Sight, shape: Shape) -> Sight:
    """New dimensions in front, and those of size 1 stretched."""
    if len(sight.dims) > len(shape):
        return sight.all_mixed(shape)
    dims = (plain(1),) * (len(shape) - len(sight.dims)) + sight.dims
    stretched = tuple(dim if size_of(dim) == size else plain(size) for dim, size in zip(dims, shape, strict=True))
    lost = axes_of(dims) - axes_of(stretched)
    narrow = {axis for axis in lost if len(sight.fields[axis].low) > 1}
    fields = (field.mixed() if axis in narrow else field for axis, field in enumerate(sight.fields))
    return replace(sight, dims=stretched, fields=tuple(fields))


def _clash(one: Sight, two: Sight) -> set[int]:
    """The axes that two sights have at different places."""
    clash: set[int] = set()
    for a, b in zip(one.dims, two.dims, strict=True):
        if axes_of([a]) and axes_of([b]) and a != b:
            clash |= axes_of([a, b])
    shared = axes_of(one.dims) & axes_of(two.dims)
    return clash | {axis for axis in shared if one.places(axis) != two.places(axis)}
