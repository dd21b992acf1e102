"""Places for the boxes of a graph that runs one way: layer below layer, few crossings, lines as straight as can be.

After Sugiyama, Tagawa and Toda 1981 (Methods for Visual Understanding of Hierarchical System Structures): a layer for
each length of the longest way from the start; a line that passes a layer has a place of its own there; medians of the
neighbours decide the order in a layer; then each place goes as near to its neighbours as the order and gaps allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import mean, median

ORDER_SWEEPS, PLACE_SWEEPS = 8, 24
BOX_WEIGHT = 3.0  # beside that of a line, which gives way
LINE_GAP = 0.16  # between lines, where boxes have a gap of 1


@dataclass
class _Place:
    """A box, or a point (`box` is False) that a line passes; `above` and `below` are places in the next layers."""

    layer: int
    box: bool
    above: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """`x` in widths of a box with its gap, the leftmost being 0; `layer` from 0. `lines`: from box to box, by points.

    A line is ((x, layer), …): from its first box down to its last one.
    """

    x: tuple[float, ...]
    layer: tuple[int, ...]
    lines: tuple[tuple[tuple[float, int], ...], ...]
    width: float
    num_layers: int


def layered(sources: Sequence[Sequence[int]]) -> Layout:
    """`sources[b]` are the boxes, all before b, that box b reads."""
    layers: list[int] = []
    for before in sources:
        layers.append(1 + max((layers[source] for source in before), default=-1))
    places = [_Place(layer, True) for layer in layers]
    routes = _route(places, sources)
    rows = [[p for p, place in enumerate(places) if place.layer == layer] for layer in range(max(layers) + 1)]
    _order(rows, places)
    x = _spread(rows, places)
    lines = tuple(tuple((x[p], places[p].layer) for p in route) for route in routes)
    boxes = range(len(sources))
    return Layout(tuple(x[box] for box in boxes), tuple(layers), lines, max(x), len(rows))


def _route(places: list[_Place], sources: Sequence[Sequence[int]]) -> list[list[int]]:
    """Points for long lines; those of one box share their way down. Gives the places along each line."""
    routes = []
    passed: dict[tuple[int, int], int] = {}
    for box, before in enumerate(sources):
        for source in dict.fromkeys(before):
            route = [source]
            for layer in range(places[source].layer + 1, places[box].layer):
                if (source, layer) not in passed:
                    passed[source, layer] = len(places)
                    places.append(_Place(layer, False))
                    _join(places, route[-1], passed[source, layer])
                route.append(passed[source, layer])
            _join(places, route[-1], box)
            routes.append([*route, box])
    return routes


def _join(places: list[_Place], upper: int, lower: int) -> None:
    places[upper].below.append(lower)
    places[lower].above.append(upper)


def _order(rows: list[list[int]], places: list[_Place]) -> None:
    """In place: by the median of the neighbours above, then below, in turn."""
    for sweep in range(ORDER_SWEEPS):
        down = sweep % 2 == 0
        at = {p: float(rank) for row in rows for rank, p in enumerate(row)}
        for row in rows if down else rows[::-1]:
            near = {p: places[p].above if down else places[p].below for p in row}
            wanted = {p: median(at[q] for q in near[p]) if near[p] else at[p] for p in row}
            row.sort(key=lambda p: (wanted[p], at[p]))
            at |= {p: float(rank) for rank, p in enumerate(row)}


def _spread(rows: list[list[int]], places: list[_Place]) -> list[float]:
    """Layers with one place, through which everything goes, stand on one line; the others as near as they can."""
    x = [0.0] * len(places)
    gaps = [_offsets(row, places) for row in rows]
    weights = [[BOX_WEIGHT if places[p].box else 1.0 for p in row] for row in rows]
    free = [number for number, row in enumerate(rows) if len(row) > 1]
    for number in free:
        for p, offset in zip(rows[number], gaps[number], strict=True):
            x[p] = offset - gaps[number][-1] / 2
    for sweep in range(PLACE_SWEEPS):
        for number in free if sweep % 2 == 0 else reversed(free):
            row = rows[number]
            wanted = [mean(x[q] for q in (*places[p].above, *places[p].below)) for p in row]
            for p, value in zip(row, _apart(wanted, gaps[number], weights[number]), strict=True):
                x[p] = value
    least = min(x)
    return [round(value - least, 4) for value in x]


def _offsets(row: list[int], places: list[_Place]) -> list[float]:
    """How far right of the row's first place each has to be at least."""
    half = [0.5 if places[p].box else LINE_GAP / 2 for p in row]
    offsets = [0.0]
    for left, right in pairwise(half):
        offsets.append(offsets[-1] + left + right)
    return offsets


def _apart(wanted: list[float], offsets: list[float], weights: list[float]) -> list[float]:
    """The nearest places (least squares) to those wanted that keep the order and the gaps.

    Isotonic regression by pooling adjacent violators (Barlow et al. 1972); scikit-learn's would take half a second to
    import at the end of every training.
    """
    pools: list[tuple[float, float, int]] = []  # value, weight, places
    for value, offset, weight in zip(wanted, offsets, weights, strict=True):
        pool = (value - offset, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            before = pools.pop()
            total = before[1] + pool[1]
            pool = ((before[0] * before[1] + pool[0] * pool[1]) / total, total, before[2] + pool[2])
        pools.append(pool)
    free = [value for value, _, count in pools for _ in range(count)]
    return [value + offset for value, offset in zip(free, offsets, strict=True)]
