"""Small charts of accuracy against how much the pictures are changed, one a corruption, for one run or two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlens.measurement.corruptions import CORRUPTIONS
from convlens.reports.axes import Axes, drawing
from convlens.reports.figures import percent, pictures
from convlens.reports.markup import Markup, element, section

ACCURACIES = [0.0, 0.25, 0.5, 0.75, 1.0]
Curve = dict[str, Any]


def robustness_section(evaluation: dict[str, Any], prefix: str) -> Markup | None:
    curves = evaluation.get("robustness") or []
    if not curves:
        return None
    beside = evaluation.get("beside") or {}
    others = {curve["corruption"]: curve for curve in beside.get("curves") or []}
    figures = [_chart(curve, others.get(curve["corruption"]), str(beside.get("name"))) for curve in curves]
    body = element("div", figures, class_="charts")
    return section("Robustness", body, id_=f"{prefix}robustness", lead=_sentence(curves, beside))


def _sentence(curves: Sequence[Curve], beside: dict[str, Any]) -> str:
    drops = {curve["corruption"]: _drop(curve) for curve in curves}
    worst, least = max(drops, key=lambda name: drops[name]), min(drops, key=lambda name: drops[name])
    text = f"Accuracy on {pictures(curves[0]['num_pictures'])}, changed more and more. It loses most to {worst} "
    text += f"({100 * drops[worst]:.0f} points at the most), least to {least} ({100 * drops[least]:.0f})."
    if beside:
        known = beside.get("augmented")
        how = "" if known is None else f", trained {'with' if known else 'without'} augmentation"
        text += f" In grey: {beside['name']}{how}."
    return text


def _drop(curve: Curve) -> float:
    """From the picture as it is, or nearly so, to the worst."""
    known = CORRUPTIONS.get(curve["corruption"])
    unchanged = known.levels[0] if known else 0
    values = {point["level"]: point["accuracy"] for point in curve["points"]}
    return float(values.get(unchanged, max(values.values())) - min(values.values()))


def _chart(curve: Curve, other: Curve | None, other_name: str) -> Markup:
    levels = [point["level"] for point in curve["points"]]
    axes = Axes(levels, ACCURACIES, (min(levels), max(levels)))
    shown = levels[:1]
    for level in levels[1:]:  # as many numbers as there is room for
        if axes.x(level) - axes.x(shown[-1]) > 18:
            shown.append(level)
    frame = Axes(shown, ACCURACIES, (min(levels), max(levels))).frame(
        curve["unit"], x_text=lambda level: f"{level:g}", y_text=lambda share: f"{100 * share:g} %"
    )
    lines = [] if other is None else [_line(axes, other, "train", other_name)]
    lines.append(_line(axes, curve, "validation", "this run"))
    spoken = "; ".join(f"{point['level']:g}: {percent(point['accuracy'])}" for point in curve["points"])
    name = {"jpeg": "JPEG quality"}.get(curve["corruption"], curve["corruption"].capitalize())
    picture = drawing(f"Accuracy by {curve['corruption']}, {curve['unit']}: {spoken}", frame, lines)
    return element("figure", element("figcaption", element("b", name)), picture, class_="chart")


def _line(axes: Axes, curve: Curve, kind: str, name: str) -> Markup:
    places = [(axes.x(point["level"]), axes.y(point["accuracy"]), point) for point in curve["points"]]
    path = "M" + "L".join(f"{x:g},{y:g}" for x, y, _ in places)
    marks = [
        element("circle", element("title", f"{name}, {point['level']:g}: {_interval(point)}"), cx=x, cy=y, r=3)
        for x, y, point in places
    ]
    return element("g", element("path", d=path), marks, class_=f"line {kind}")


def _interval(point: dict[str, Any]) -> str:
    return f"{percent(point['accuracy'])} ({percent(point['low'])} to {percent(point['high'])})"
