"""Accuracy against cost: who is beaten by nobody? (Pareto's front.)"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from convlens.reports.axes import LEFT, WIDTH, Axes, label, round_ticks
from convlens.reports.figures import percent, short
from convlens.reports.markup import Markup, element

SCALE = 2.2  # of the small charts of a report
STYLE = """
.pareto { background: #fff; font: 7px system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
.pareto text { fill: #5f6b7a; }
.pareto .name { fill: #1c2024; stroke: #fff; stroke-width: 2.5px; stroke-linejoin: round; paint-order: stroke; }
.pareto .grid { stroke: #e3e7ec; } .pareto .base { stroke: #8594a8; }
.pareto circle { fill: #b9c3d0; } .pareto .front circle { fill: #2a62d4; }
.pareto .front path { fill: none; stroke: #2a62d4; stroke-width: 1; }
.pareto .interval { stroke: #8594a8; }
@media (prefers-color-scheme: dark) {
  .pareto { background: #101317; } .pareto text { fill: #98a3b1; }
  .pareto .name { fill: #e7eaee; stroke: #101317; }
  .pareto .grid { stroke: #2a3038; } .pareto .front circle { fill: #7aa7ff; } .pareto .front path { stroke: #7aa7ff; }
}
"""


@dataclass(frozen=True)
class ParetoPoint:
    """`cost` is positive; accuracies are 0 to 1, None where there is none: then it is left out.

    A front is one of those that were `judged_on` the same.
    """

    name: str
    cost: float
    accuracy: float | None
    low: float | None
    high: float | None
    on_front: bool
    judged_on: str = ""


def pareto_plot(points: Sequence[ParetoPoint], cost: str) -> Markup:
    """An SVG: accuracy upwards, cost (what it counts, such as "MACs" or "ms") to the right, by powers of ten."""
    drawn = sorted((p for p in points if p.accuracy is not None), key=lambda p: p.cost)
    if not drawn:
        return _figure("no accuracy is known of any", element("text", "no accuracy is known", x=120, y=116))
    logs = [math.log10(point.cost) for point in drawn]
    ends = [value for p in drawn for value in (p.accuracy, p.low, p.high) if value is not None]
    first, last = min(logs), max(logs)
    room = 0.05 * (last - first) or 0.5
    heights = [tick for tick in round_ticks(min(ends), max(ends), 6) if 0 <= tick <= 1] or [0.0, 1.0]
    axes = Axes(_powers(first - room, last + room), heights, (first - room, last + room))
    frame = axes.frame(cost, x_text=lambda tick: short(10**tick), y_text=lambda share: percent(share, 1))
    others = element("g", (_point(axes, p, cost) for p in drawn if not p.on_front))
    groups = dict.fromkeys(point.judged_on for point in drawn)
    fronts = [_front(axes, [p for p in drawn if p.on_front and p.judged_on == group], cost) for group in groups]
    upwards = label(4, 8, "accuracy", "start", kind="axis")
    return _figure(f"Accuracy against {cost} of {len(drawn)}", frame, upwards, others, fronts, _names(axes, drawn))


def _front(axes: Axes, points: Sequence[ParetoPoint], cost: str) -> Markup:
    """The best, cheapest first, joined by steps."""
    places = [(axes.x(math.log10(point.cost)), axes.y(point.accuracy or 0)) for point in points]
    steps = "".join(f"H{x:g}V{y:g}" for x, y in places[1:])
    line = element("path", d=f"M{places[0][0]:g} {places[0][1]:g}{steps}") if places else None
    return element("g", line, (_point(axes, point, cost) for point in points), class_="front")


def _powers(first: float, last: float) -> list[float]:
    """1, 2 and 5 times powers of ten, as logarithms, within the range."""
    ticks = [math.log10(m) + power for power in range(math.floor(first), math.ceil(last) + 1) for m in (1, 2, 5)]
    inside = [tick for tick in ticks if first <= tick <= last]
    return inside[:: math.ceil(len(inside) / 8)] if inside else [first, last]


def _point(axes: Axes, point: ParetoPoint, cost: str) -> Markup:
    x, y = axes.x(math.log10(point.cost)), axes.y(point.accuracy or 0)
    where = f" on {point.judged_on}" if point.judged_on else ""
    told = element("title", f"{point.name}: {percent(point.accuracy)}{where}, {short(point.cost)} {cost}")
    interval = None
    if point.low is not None and point.high is not None:
        interval = element("line", x1=x, x2=x, y1=axes.y(point.low), y2=axes.y(point.high), class_="interval")
    return element("g", told, interval, element("circle", cx=x, cy=y, r=2.6))


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)


def _names(axes: Axes, points: Sequence[ParetoPoint]) -> list[Markup]:
    """Beside, over or under its point, where neither a name nor a point stands; the front's first."""
    places = {id(point): (axes.x(math.log10(point.cost)), axes.y(point.accuracy or 0)) for point in points}
    dots = [_Box(x - 8, y - 5, x + 8, y + 5) for x, y in places.values()]  # no name so near another's point
    taken: list[_Box] = []
    names = []
    for point in sorted(points, key=lambda p: not p.on_front):
        x, y = places[id(point)]
        wide = 3.9 * len(point.name)
        others = [*taken, *(dot for dot in dots if abs(dot.left + 8 - x) > 1e-6 or abs(dot.top + 5 - y) > 1e-6)]
        for at, base, anchor in (
            (x + 5, y + 2.5, "start"),
            (x - 5, y + 2.5, "end"),
            (x, y - 6, "middle"),
            (x, y + 11, "middle"),
            (x + 3, y - 6, "end"),
        ):
            left = at - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
            box = _Box(left, base - 6, left + wide, base + 1.5)
            if left >= LEFT and box.right <= WIDTH and not any(box.meets(other) for other in others):
                taken.append(box)
                names.append(label(round(at, 1), round(base, 1), point.name, anchor, kind="name"))
                break
    return names


def _figure(title: str, *content: object) -> Markup:
    return element(
        "svg", element("title", title), element("style", Markup(STYLE)), *content,  # type: ignore[arg-type]
        class_="pareto", viewBox="0 0 360 232", width=360 * SCALE, height=232 * SCALE, role="img",
        xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip
