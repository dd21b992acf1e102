"""How a dimension of a tensor walks along the axes of the picture, through flattening and splitting.

A dimension is a run of factors. A factor walks along one axis of the picture in steps of so many units, or along none
(batch, channels). Flattening joins the factors of several dimensions into one; a view that splits an axis of 6 units
into 3 × 2 leaves a factor of size 3 and step 2 and one of size 2 and step 1, wherever these go afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import NamedTuple


class Factor(NamedTuple):
    size: int
    axis: int | None = None
    step: int = 1


Dimension = tuple[Factor, ...]
Shape = tuple[int, ...]


def plain(size: int) -> Dimension:
    return (Factor(size),)


def size_of(dimension: Dimension) -> int:
    return prod(factor.size for factor in dimension)


def axes_of(dimensions: Iterable[Dimension]) -> set[int]:
    return {factor.axis for dimension in dimensions for factor in dimension if factor.axis is not None}


def split(dims: Iterable[Dimension], shape: Shape) -> tuple[tuple[Dimension, ...], set[int]]:
    """The same elements in order under another shape, and the axes for which that cannot be told."""
    pending = [factor for dim in dims for factor in dim if factor.size != 1]
    found: list[Dimension] = []
    broken: set[int] = set()
    for size in shape:
        dim, pending, torn = _take(pending, size)
        found.append(dim)
        broken |= torn
    return tuple(found), broken


def _take(pending: list[Factor], size: int) -> tuple[Dimension, list[Factor], set[int]]:
    """The factors that make up the next dimension of this size, those that are left, and the axes torn apart."""
    taken: list[Factor] = []
    rest = list(pending)
    need = size
    while need > 1 and rest:
        front, rest = rest[0], rest[1:]
        if need % front.size == 0:
            taken.append(front)
            need //= front.size
        elif front.size % need == 0:
            left = front.size // need
            taken.append(Factor(need, front.axis, front.step * left))
            rest = [Factor(left, front.axis, front.step), *rest]
            need = 1
        else:
            return plain(size), [], axes_of([(*taken, front, *rest)])
    return (_joined(taken) or plain(size)), rest, set()


def _joined(taken: list[Factor]) -> Dimension:
    """Neighbours that walk on where the next one ends are one factor again."""
    joined: list[Factor] = []
    for factor in taken:
        before = joined[-1] if joined else None
        if before is not None and before.axis == factor.axis and before.step == factor.size * factor.step:
            joined[-1] = Factor(before.size * factor.size, factor.axis, factor.step)
        else:
            joined.append(factor)
    return tuple(joined)
