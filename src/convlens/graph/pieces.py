"""Operations that take apart and put together: views, slices, flips, splits, concatenations."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from convlens.graph.factors import Dimension, Factor, axes_of, plain, size_of
from convlens.graph.layout import Sight
from convlens.graph.merging import differ, merged
from convlens.graph.nodes import Node
from convlens.graph.rules import along, anything, each, rule


@rule("view", "_unsafe_view", "reshape", "squeeze", "unsqueeze", "_reshape_alias")
def view(node: Node, seen: list[Sight]) -> Sight:
    return seen[0].viewed(node.output_shape)


@rule("permute", "transpose", "t")
def permute(node: Node, seen: list[Sight]) -> Sight:
    sight, order = seen[0], list(range(len(seen[0].dims)))
    if node.op == "permute":
        order = [d % len(order) for d in node.arguments["dims"]]
    elif len(order) >= 2:
        one, two = (node.arguments.get(k, d) % len(order) for k, d in (("dim0", 0), ("dim1", 1)))
        order[one], order[two] = order[two], order[one]
    # Channels in another order, as in a shuffle by views: neighbours are of every kind.
    channels = [d for d in order if size_of(sight.dims[d]) > 1 and not axes_of(sight.dims[d : d + 1])]
    return Sight(tuple(sight.dims[d] for d in order), sight.fields, sight.uneven and channels == sorted(channels))


@rule("expand")
def expand(node: Node, seen: list[Sight]) -> Sight:
    return merged(seen, node.output_shape)


@rule("select")
def select(node: Node, seen: list[Sight]) -> Sight:
    sight, place = seen[0], node.arguments["dim"] % len(seen[0].dims)
    index = np.array([node.arguments["index"] % sight.shape[place]])
    moved = _some(along(sight, place, index, index, Fraction(1)), sight, place)
    return replace(moved, dims=moved.dims[:place] + moved.dims[place + 1 :])


@rule("slice")
def slice_(node: Node, seen: list[Sight]) -> Sight:
    given, sight = node.arguments, seen[0]
    place = given["dim"] % len(sight.dims)
    n, units = sight.shape[place], np.arange(node.output_shape[place])
    if len(units) == n:
        return sight
    if not len(units):
        return _some(sight.with_dim(place, plain(0)), sight, place)
    start = given["start"] or 0
    index = max(start + n, 0) + units * given["step"] if start < 0 else start + units * given["step"]
    return _some(along(sight, place, index, index, Fraction(given["step"])), sight, place)


def _some(part: Sight, whole: Sight, place: int) -> Sight:
    """Along an axis all is known; of channels that see different things, some may see less."""
    return part if axes_of(whole.dims[place : place + 1]) else part.narrowed()


@rule("flip")
def flip(node: Node, seen: list[Sight]) -> Sight:
    """Unit o reads the unit as far from the other end."""
    sight = seen[0]
    for place in (dim % len(sight.dims) for dim in node.arguments["dims"]):
        units = np.arange(sight.shape[place])[::-1]
        sight = along(sight, place, units, units, Fraction(-1))
    return sight


@rule("roll")
def roll(node: Node, seen: list[Sight]) -> Sight:
    """Unit o reads o - shift, around the edge."""
    sight, dims = seen[0], node.arguments["dims"]
    if not dims:
        return anything(node, seen)
    for shift, dim in zip(each(node.arguments["shifts"], len(dims)), dims, strict=True):
        place = dim % len(sight.dims)
        units = (np.arange(sight.shape[place]) - shift) % sight.shape[place]
        sight = along(sight, place, units, units, Fraction(1))
    return sight


@rule("index", "index_select")
def index(node: Node, seen: list[Sight]) -> Sight:
    """One list of places along one dimension (channels, as a rule): exact beside the axes of the picture."""
    given, sight = node.arguments, seen[0]
    places = [given["dim"]] if "dim" in given else [d for d, one in enumerate(given["indices"]) if one is not None]
    if len(seen) != 1 or len(places) != 1 or len(node.output_shape) != len(sight.dims):
        return anything(node, seen)
    place = places[0] % len(sight.dims)
    sight = sight.mixed([place], keep=False, exact=False).narrowed()
    return sight.with_dim(place, plain(node.output_shape[place]))


@rule("split", "split_with_sizes", "unsafe_split", "chunk", "unbind")
def split(node: Node, seen: list[Sight]) -> tuple[Sight, ...]:
    """One sight for every part."""
    given, sight = node.arguments, seen[0]
    place, n = given["dim"] % len(sight.dims), sight.shape[given["dim"]]
    size = 1 if node.op == "unbind" else -(-n // given["chunks"]) if node.op == "chunk" else given.get("split_size", n)
    sizes = given["split_sizes"] if "split_sizes" in given else [min(size, n - at) for at in range(0, n, size)]
    if not isinstance(sizes, list | tuple):
        sizes = (sizes,)
    parts, start = [], 0
    for size in sizes:
        index = np.arange(start, start + size)
        part = along(sight, place, index, index, Fraction(1)) if size else sight.with_dim(place, plain(0))
        part = _some(part, sight, place)
        short = replace(part, dims=part.dims[:place] + part.dims[place + 1 :])
        parts.append(short if node.op == "unbind" else part)
        start += size
    return tuple(parts)


@rule("cat", "stack")
def concatenate(node: Node, seen: list[Sight]) -> Sight:
    place = node.arguments["dim"] % len(node.output_shape)
    of_all = len(seen) == len(node.operands())
    if node.op == "cat":  # what has no unit sees nothing
        seen = [s for s in seen if size_of(s.dims[place])] or seen
    if node.op == "stack":
        dim = _told_apart_by(seen)
        seen = [replace(s, dims=(*s.dims[:place], dim, *s.dims[place:])) for s in seen]
    elif all(size_of(s.dims[place]) == 1 for s in seen):
        dim = _told_apart_by(seen)
        seen = [s.with_dim(place, dim) for s in seen] if axes_of([dim]) else seen
    size = node.output_shape[place]
    if of_all and (row := _in_a_row(seen, place)) is not None:
        return merged(row, node.output_shape)
    parts = [s.mixed([place], keep=False, exact=False).with_dim(place, plain(size)) for s in seen]
    joined = merged(parts, node.output_shape)
    joined = replace(joined, uneven=joined.uneven or differ(parts))
    return joined.narrowed() if place > 1 else joined


def _told_apart_by(seen: list[Sight]) -> Dimension:
    """What a new dimension walks along: the one axis along which each part has a unit of its own, if there is one."""
    free = [axis for axis, field in enumerate(seen[0].fields) if all(len(s.fields[axis].low) == 1 for s in seen)]
    differ = [
        axis for axis in free if len({(int(s.fields[axis].low[0]), int(s.fields[axis].high[0])) for s in seen}) > 1
    ]
    return (Factor(1, differ[0]),) if len(differ) == 1 else plain(1)


def _in_a_row(seen: list[Sight], place: int) -> list[Sight] | None:
    """Parts of one axis, one after the other: each as if it had the units of all; None for anything else."""
    walked = {axis for sight in seen for axis in axes_of([sight.dims[place]])}
    if len(walked) != 1 or any(len(sight.dims[place]) != 1 or sight.dims[place][0].axis is None for sight in seen):
        return None
    (axis,) = walked
    if any(len(sight.places(axis)) != 1 for sight in seen):
        return None
    fields = [sight.fields[axis] for sight in seen]
    joint = fields[0].followed_by(fields[1:])
    whole = Factor(len(joint.low), axis)
    return [sight.with_dim(place, (whole,)).with_field(axis, joint) for sight in seen]
