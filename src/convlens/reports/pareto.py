"""Accuracy against cost: who is beaten by nobody? (Pareto's front.)"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from convlens.reports.axes import HEIGHT, WIDTH, Axes, label, round_ticks
from convlens.reports.figures import percent, short
from convlens.reports.labels import Spot, labels
from convlens.reports.markup import Markup, element

SCALE = 2.2  # of the small charts of a report
STYLE = """
.pareto { background: #fff; font: 7px system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
.pareto text { fill: #5f6b7a; }
.pareto .name { fill: #1c2024; stroke: #fff; stroke-width: 2.5px; stroke-linejoin: round; paint-order: stroke; }
.pareto .number { font-weight: 600; } .pareto .leader { stroke: #8594a8; stroke-width: 0.6; }
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

    A front is one of those that were `judged_on` the same. Costs that differ by less than the share `noise` of either
    cannot be told apart.
    """

    name: str
    cost: float
    accuracy: float | None
    low: float | None
    high: float | None
    on_front: bool
    judged_on: str = ""
    noise: float = 0.0


def pareto_plot(points: Sequence[ParetoPoint], cost: str) -> Markup:
    """An SVG: accuracy upwards, cost (what it counts, such as "MACs" or "ms") to the right, by powers of ten."""
    drawn = sorted((p for p in points if p.accuracy is not None), key=lambda p: p.cost)
    if not drawn:
        return _figure("no accuracy is known of any", element("text", "no accuracy is known", x=120, y=116))
    logs = [math.log10(point.cost) for point in drawn]
    ends = [value for p in drawn for value in (p.accuracy, p.low, p.high) if value is not None]
    reach = [math.log10(1 + point.noise) for point in drawn]
    first = min(log - most for log, most in zip(logs, reach, strict=True))
    last = max(log + most for log, most in zip(logs, reach, strict=True))
    room = 0.05 * (last - first) or 0.5
    heights = [tick for tick in round_ticks(min(ends), max(ends), 6) if 0 <= tick <= 1] or [0.0, 1.0]
    axes = Axes(_powers(first - room, last + room), heights, (first - room, last + room))
    told = f"{cost}; costs within a point's line across cannot be told apart from it" if any(reach) else cost
    frame = axes.frame(told, x_text=lambda tick: short(10**tick), y_text=lambda share: percent(share, 1))
    others = element("g", (_point(axes, p, cost) for p in drawn if not p.on_front))
    groups = dict.fromkeys(point.judged_on for point in drawn)
    fronts = [_front(axes, [p for p in drawn if p.on_front and p.judged_on == group], cost) for group in groups]
    upwards = label(4, 6, "accuracy", "start", kind="axis")
    spots = [Spot(axes.x(math.log10(p.cost)), axes.y(p.accuracy or 0), p.name, p.on_front) for p in drawn]
    names, more = labels(spots)
    title = f"Accuracy against {cost} of {len(drawn)}"
    return _figure(title, frame, upwards, others, fronts, names, height=HEIGHT + more)


def _front(axes: Axes, points: Sequence[ParetoPoint], cost: str) -> Markup:
    """The best, cheapest first, joined by steps."""
    places = [(axes.x(math.log10(point.cost)), axes.y(point.accuracy or 0)) for point in points]
    steps = "".join(f"H{x:g}V{y:g}" for x, y in places[1:])
    line = element("path", d=f"M{places[0][0]:g} {places[0][1]:g}{steps}") if places else None
    return element("g", line, (_point(axes, point, cost) for point in points), class_="front")


def _powers(first: float, last: float) -> list[float]:
    """1, 2 and 5 times powers of ten, as logarithms, within the range; rounder steps of a range with fewer than two."""
    ticks = [math.log10(m) + power for power in range(math.floor(first), math.ceil(last) + 1) for m in (1, 2, 5)]
    inside = [tick for tick in ticks if first <= tick <= last]
    if len(inside) < 2:
        inside = [math.log10(tick) for tick in round_ticks(10**first, 10**last) if first <= math.log10(tick) <= last]
    return inside[:: math.ceil(len(inside) / 8)]


def _point(axes: Axes, point: ParetoPoint, cost: str) -> Markup:
    x, y = axes.x(math.log10(point.cost)), axes.y(point.accuracy or 0)
    where = f" on {point.judged_on}" if point.judged_on else ""
    told = element("title", f"{point.name}: {percent(point.accuracy)}{where}, {short(point.cost)} {cost}")
    interval = None
    if point.low is not None and point.high is not None:
        interval = element("line", x1=x, x2=x, y1=axes.y(point.low), y2=axes.y(point.high), class_="interval")
    across = None
    if point.noise:
        ends = (point.cost / (1 + point.noise), point.cost * (1 + point.noise))
        left, right = (axes.x(math.log10(end)) for end in ends)
        across = element("line", x1=left, x2=right, y1=y, y2=y, class_="interval noise")
    return element("g", told, interval, across, element("circle", cx=x, cy=y, r=2.6))


def _figure(title: str, *content: object, height: float = HEIGHT) -> Markup:
    return element(
        "svg", element("title", title), element("style", Markup(STYLE)), *content,  # type: ignore[arg-type]
        class_="pareto", viewBox=f"0 0 {WIDTH} {height:g}", width=f"{WIDTH * SCALE:g}", height=f"{height * SCALE:g}",
        role="img",
        xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip
