"""Operations that take apart and put together: views, slices, flips, splits, concatenations."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from convlens.graph.layout import Sight, axes_of, merged, plain
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
    return Sight(tuple(sight.dims[d] for d in order), sight.fields)


@rule("expand")
def expand(node: Node, seen: list[Sight]) -> Sight:
    return merged(seen, node.output_shape)


@rule("select")
def select(node: Node, seen: list[Sight]) -> Sight:
    sight, place = seen[0], node.arguments["dim"] % len(seen[0].dims)
    index = np.array([node.arguments["index"] % sight.shape[place]])
    moved = along(sight, place, index, index, Fraction(1))
    return Sight(moved.dims[:place] + moved.dims[place + 1 :], moved.fields)


@rule("slice")
def slice_(node: Node, seen: list[Sight]) -> Sight:
    given, sight = node.arguments, seen[0]
    place = given["dim"] % len(sight.dims)
    n, units = sight.shape[place], np.arange(node.output_shape[place])
    if len(units) == n:
        return sight
    start = given["start"] or 0
    index = max(start + n, 0) + units * given["step"] if start < 0 else start + units * given["step"]
    return along(sight, place, index, index, Fraction(given["step"]))


@rule("flip")
def flip(node: Node, seen: list[Sight]) -> Sight:
    """Unit o reads the unit as far from the other end."""
    sight = seen[0]
    for place in (dim % len(sight.dims) for dim in node.arguments["dims"]):
        units = np.arange(sight.shape[place])[::-1]
        sight = along(sight, place, units, units, Fraction(1))
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
    sight = sight.mixed(axes_of(sight.dims[place : place + 1]), keep=False)
    return sight.with_dim(place, plain(node.output_shape[place]))


@rule("split", "split_with_sizes", "unsafe_split", "chunk", "unbind")
def split(node: Node, seen: list[Sight]) -> Sight:
    """Exact along channels; parts along an axis of the picture are each taken to see all."""
    sight, place = seen[0], node.arguments["dim"] % len(seen[0].dims)
    sight = sight.at_most(axes_of(sight.dims[place : place + 1]), keep=False)
    if node.op == "unbind":
        return Sight(sight.dims[:place] + sight.dims[place + 1 :], sight.fields)
    return sight.with_dim(place, plain(node.output_shape[place]))


@rule("cat", "stack")
def concatenate(node: Node, seen: list[Sight]) -> Sight:
    place = node.arguments["dim"] % len(node.output_shape)
    if node.op == "stack":
        seen = [Sight((*s.dims[:place], plain(1), *s.dims[place:]), s.fields) for s in seen]
    parts = [s.at_most(axes_of(s.dims[place : place + 1]), keep=False) for s in seen]
    size = node.output_shape[place]
    return merged([part.with_dim(place, plain(size)) for part in parts], node.output_shape)
