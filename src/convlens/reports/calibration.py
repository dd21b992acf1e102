"""Can the probabilities be believed? The reliability diagram (Guo et al. 2017), https://arxiv.org/abs/1706.04599."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlens.reports.axes import BOTTOM, HEIGHT, Axes, drawing, round_ticks
from convlens.reports.figures import count, percent, pictures, views
from convlens.reports.markup import Markup, element, section

TENTHS = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def calibration_section(evaluation: dict[str, Any], prefix: str) -> Markup | None:
    bins = [b for b in evaluation.get("calibration_bins") or [] if b.get("count")]
    if not bins:
        return None
    figures = element("div", _reliability(bins), _histogram(bins), class_="charts two")
    return section("Calibration", figures, id_=f"{prefix}calibration", lead=_sentence(evaluation, bins))


def _sentence(evaluation: dict[str, Any], bins: Sequence[dict[str, Any]]) -> str:
    error = evaluation.get("expected_calibration_error")
    total = sum(b["count"] for b in bins)
    lean = sum(b["count"] * (b["confidence"] - b["accuracy"]) for b in bins) / total
    tendency = "about right" if abs(lean) < 0.02 else "too sure on the whole" if lean > 0 else "too modest on the whole"
    temperature = evaluation.get("temperature")
    fitted = f", with temperature {temperature:.3g}" if temperature and temperature != 1 else ""
    before = evaluation.get("untempered_calibration_error")
    fitted += f", {percent(before)} without it" if fitted and before is not None else ""
    fitted += " (fitted on single views)" if fitted and views(evaluation) else ""
    return (
        f"Expected calibration error {percent(error)}{fitted}. The network is {tendency}: "
        "with perfect probabilities all bars end on the diagonal."
    )


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _reliability(bins: Sequence[dict[str, Any]]) -> Markup:
    axes = Axes(TENTHS, TENTHS, (0.0, 1.0))
    bars = [
        element(
            "rect",
            element(
                "title",
                f"confidence {percent(b['confidence'])}: {percent(b['accuracy'])} right ({pictures(b['count'])})",
            ),
            **_box(axes, b, b["accuracy"]),
        )
        for b in bins
    ]
    gaps = [
        element(
            "line",
            x1=axes.x((b["low"] + b["high"]) / 2),
            x2=axes.x((b["low"] + b["high"]) / 2),
            y1=axes.y(b["accuracy"]),
            y2=axes.y(b["confidence"]),
            class_="gap",
        )
        for b in bins
    ]
    diagonal = element("line", x1=axes.x(0), y1=axes.y(0), x2=axes.x(1), y2=axes.y(1), class_="diagonal")
    frame = axes.frame("confidence", x_text=_percent, y_text=_percent)
    picture = drawing("Accuracy by confidence", frame, element("g", bars, class_="bars"), gaps, diagonal)
    return element("figure", element("figcaption", element("b", "Share that is right")), picture, class_="chart")


def _histogram(bins: Sequence[dict[str, Any]]) -> Markup:
    ticks = [t for t in round_ticks(0, max(b["count"] for b in bins)) if t == int(t)]
    axes = Axes(TENTHS, ticks, (0.0, 1.0))
    bars = [element("rect", element("title", pictures(b["count"])), **_box(axes, b, b["count"])) for b in bins]
    frame = axes.frame("confidence", x_text=_percent, y_text=count)
    picture = drawing("Pictures by confidence", frame, element("g", bars, class_="bars quiet"))
    return element("figure", element("figcaption", element("b", "Pictures")), picture, class_="chart")


def _box(axes: Axes, row: dict[str, Any], value: float) -> dict[str, float]:
    left, right, top = axes.x(row["low"]), axes.x(row["high"]), axes.y(value)
    foot = HEIGHT - BOTTOM
    return {
        "x": left + 1,
        "y": top,
        "width": round(max(right - left - 2, 1), 1),
        "height": round(max(foot - top, 0), 1),
    }
