"""Names beside the points of a plot; where there is no room a number, and the names of the numbers below the plot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from convlens.reports.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, label
from convlens.reports.markup import Markup, element

LETTER = 3.9  # pixels of the widest usual font at 7 px
LINE = 9.5
NEAR = 10  # a number so near its point needs no line to it


class Spot(NamedTuple):
    """A point of the plot, in pixels; what is `important` is named first."""

    x: float
    y: float
    name: str
    important: bool = False


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)


def labels(spots: Sequence[Spot]) -> tuple[list[Markup], float]:
    """-> names, numbers and their list; how much higher the drawing is for the list."""
    taken: list[_Box] = []
    named: list[Markup] = []
    unnamed: list[Spot] = []
    for spot in sorted(spots, key=lambda spot: not spot.important):
        name = _name(spot, taken, spots)
        if name is None:
            unnamed.append(spot)
        else:
            named.append(name)
    unnamed.sort()
    numbers = [_number(spot, str(number), taken, spots) for number, spot in enumerate(unnamed, 1)]
    listed, height = _list([spot.name for spot in unnamed])
    return [element("g", numbers), element("g", named), element("g", listed)], height


def _name(spot: Spot, taken: list[_Box], spots: Sequence[Spot]) -> Markup | None:
    """Beside, over or under its point, where neither a name nor a point stands."""
    x, y, wide = spot.x, spot.y, LETTER * len(spot.name)
    others = [_Box(o.x - 8, o.y - 5, o.x + 8, o.y + 5) for o in spots if _apart(o, spot)]  # none so near another's
    for at, base, anchor in (
        (x + 5, y + 2.5, "start"),
        (x - 5, y + 2.5, "end"),
        (x, y - 6, "middle"),
        (x, y + 11, "middle"),
        (x + 3, y - 6, "end"),
    ):
        left = at - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
        box = _Box(left, base - 6, left + wide, base + 1.5)
        if left >= LEFT and box.right <= WIDTH and not any(box.meets(other) for other in (*taken, *others)):
            taken.append(box)
            return label(round(at, 1), round(base, 1), spot.name, anchor, kind="name")
    return None


def _apart(one: Spot, other: Spot) -> bool:
    return abs(one.x - other.x) > 1e-6 or abs(one.y - other.y) > 1e-6


def _number(spot: Spot, number: str, taken: list[_Box], spots: Sequence[Spot]) -> Markup:
    """At the nearest place that is free, with a line to its point where that is not beside it."""
    half = LETTER * len(number) / 2 + 0.5
    points = [_Box(other.x - 3.5, other.y - 3.5, other.x + 3.5, other.y + 3.5) for other in spots]
    x, y = spot.x, spot.y
    for x, y in _around(spot):
        box = _Box(x - half, y - 3.5, x + half, y + 3.5)
        inside = box.left >= LEFT and box.right <= WIDTH - RIGHT and box.top >= TOP and box.bottom <= HEIGHT - BOTTOM
        if inside and _tells(x, y, spot, spots) and not any(box.meets(other) for other in (*taken, *points)):
            taken.append(box)
            break
    line = None
    if math.dist((x, y), (spot.x, spot.y)) > NEAR:
        line = element("line", x1=spot.x, y1=spot.y, x2=round(x, 1), y2=round(y, 1), class_="leader")
    return element("g", line, label(round(x, 1), round(y + 2.5, 1), number, kind="name number"))


def _tells(x: float, y: float, spot: Spot, spots: Sequence[Spot]) -> bool:
    """Is a number there plainly of its point: by a line, or by being much farther from every other?"""
    far = math.dist((x, y), (spot.x, spot.y))
    return far > NEAR or all(math.dist((x, y), (o.x, o.y)) > 1.7 * far for o in spots if _apart(o, spot))


def _around(spot: Spot) -> Iterator[tuple[float, float]]:
    """Places ever farther from a point, on rings."""
    for ring in range(7, 200, 3):
        for turn in range(16):
            angle = 2 * math.pi * turn / 16
            yield spot.x + ring * math.cos(angle), spot.y + ring * math.sin(angle)


def _list(names: Sequence[str]) -> tuple[list[Markup], float]:
    """Numbered from one, in as many columns as there is room for, below the axis."""
    if not names:
        return [], 0.0
    most = int((WIDTH - 16) / LETTER) - 4
    texts = [name if len(name) <= most else f"…{name[1 - most :]}" for name in names]
    columns = max(1, int((WIDTH - 8) / (LETTER * (4 + max(map(len, texts))))))
    rows = math.ceil(len(texts) / columns)
    wide = (WIDTH - 8) / columns
    listed = []
    for place, text in enumerate(texts):
        x, y = 8 + wide * (place // rows), HEIGHT + LINE * (place % rows + 1)
        number = label(round(x + 2.5 * LETTER, 1), round(y, 1), str(place + 1), "end", kind="name number")
        listed.append(element("g", number, label(round(x + 3.2 * LETTER, 1), round(y, 1), text, "start", kind="name")))
    return listed, LINE * rows + 8
