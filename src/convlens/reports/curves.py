"""Training curves: loss, accuracy and learning rate by epoch, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from convlens.errors import counted
from convlens.reports.axes import Axes, drawing, round_ticks
from convlens.reports.figures import count, duration, percent
from convlens.reports.markup import Markup, element, section

Row = dict[str, Any]
Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    key: str
    name: str
    kind: str  # its class in the style: train, validation


@dataclass(frozen=True)
class Chart:
    title: str
    series: tuple[Series, ...]
    text: Callable[[float], str]
    from_zero: bool = False
    top: float | None = None
    best: Callable[[Sequence[float]], float] | None = None


def _rate(value: float) -> str:
    return f"{value:.3g}".replace("e-0", "e-")


CHARTS = (
    Chart(
        "Loss",
        (Series("loss", "training", "train"), Series("val_loss", "validation", "validation")),
        lambda v: f"{v:.3g}",
        from_zero=True,
        best=min,
    ),
    Chart(
        "Accuracy",
        (Series("accuracy", "training", "train"), Series("val_accuracy", "validation", "validation")),
        lambda v: f"{100 * v:.3g} %",
        top=1.0,
        best=max,
    ),
    Chart("Learning rate", (Series("learning_rate", "rate", "rate"),), _rate, from_zero=True),
)


def training_section(history: Sequence[Row]) -> Markup | None:
    """The section, or None when there is nothing to draw."""
    charts = [figure for chart in CHARTS if (figure := draw(chart, history))]
    if not charts:
        return None
    return section("Training", element("div", charts, class_="charts"), id_="training", lead=_sentence(history))


def points(history: Sequence[Row], key: str) -> list[Point]:
    """(epoch, value) of the rows that have a finite one; the epoch is the row's place where it is not written."""
    found = []
    for place, row in enumerate(history, start=1):
        value = row.get(key)
        if isinstance(value, int | float) and math.isfinite(value):
            found.append((float(row.get("epoch", place)), float(value)))
    return found


def draw(chart: Chart, history: Sequence[Row]) -> Markup | None:
    lines = [(series, points(history, series.key)) for series in chart.series]
    lines = [(series, line) for series, line in lines if line]
    if not lines:
        return None
    axes = _axes(chart, [point for _, line in lines for point in line])
    frame = axes.frame("epoch", x_text=lambda t: f"{t:g}", y_text=chart.text)
    drawn = [_line(axes, series, line, chart) for series, line in lines]
    legend = [element("span", series.name, class_=f"key {series.kind}") for series, _ in lines]
    heading = element("figcaption", element("b", chart.title), legend if len(lines) > 1 else None)
    return element("figure", heading, drawing(_spoken(chart, lines), frame, drawn), class_="chart")


def _axes(chart: Chart, values: list[Point]) -> Axes:
    xs, ys = [x for x, _ in values], [y for _, y in values]
    low = 0.0 if chart.from_zero else min(ys)
    high = max(ys) if chart.top is None else max(chart.top, max(ys))
    first, last = min(xs), max(xs)
    ticks = [t for t in round_ticks(first, last, 6) if first <= t <= last and t == int(t)] or [first]
    return Axes(ticks, round_ticks(low, high), (first, last))


def _line(axes: Axes, series: Series, line: list[Point], chart: Chart) -> Markup:
    places = [(axes.x(x), axes.y(y)) for x, y in line]
    path = "M" + "L".join(f"{x:g},{y:g}" for x, y in places)
    marks = [
        element("circle", element("title", f"epoch {x:g}: {chart.text(y)}"), cx=px, cy=py, r=2)
        for (x, y), (px, py) in zip(line, places, strict=True)
        if len(line) <= 60
    ]
    best = None
    if chart.best and series.kind == "validation":
        value = chart.best([y for _, y in line])
        x = next(x for x, y in line if y == value)
        best = element(
            "circle", element("title", f"best: {chart.text(value)} in epoch {x:g}"),
            cx=axes.x(x), cy=axes.y(value), r=4.5, class_="best",
        )  # fmt: skip
    return element("g", element("path", d=path), marks, best, class_=f"line {series.kind}")


def _spoken(chart: Chart, lines: list[tuple[Series, list[Point]]]) -> str:
    ends = "; ".join(f"{s.name} from {chart.text(line[0][1])} to {chart.text(line[-1][1])}" for s, line in lines)
    return f"{chart.title} by epoch: {ends}"


def _sentence(history: Sequence[Row]) -> str:
    """What the curves add up to, in one line."""
    parts = [counted(len(history), "epoch")]
    times = [row["seconds"] for row in history if isinstance(row.get("seconds"), int | float)]
    if times:
        # `seconds` is the time since the training began
        parts[0] += f" in {duration(max(times))}"
    speeds = sorted(row["images_per_second"] for row in history if row.get("images_per_second"))
    if speeds:
        parts.append(f"{count(speeds[len(speeds) // 2])} pictures/s")
    accuracies = points(history, "val_accuracy")
    if accuracies:
        epoch, best = max(accuracies, key=lambda point: point[1])
        parts.append(f"best validation accuracy {percent(best)} in epoch {epoch:g} (ringed)")
    return "; ".join(parts) + "."
