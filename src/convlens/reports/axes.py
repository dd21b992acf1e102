"""A plotting area as SVG: round ticks, grid lines, labels. Colours come from the page's style, light or dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from convlens.reports.markup import Content, Markup, element

WIDTH, HEIGHT = 360, 232
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 38


def round_ticks(low: float, high: float, at_most: int = 5) -> list[float]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten that cover low..high, about `at_most` of them."""
    if not high > low:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    rough = (high - low) / at_most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


@dataclass(frozen=True)
class Axes:
    """Places of data in the picture; `x_ticks` and `y_ticks` span the plotting area."""

    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    x_range: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.x_range
        share = (value - low) / (high - low) if high > low else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        share = (value - low) / (high - low) if high > low else 0.5
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def frame(self, x_label: str, *, x_text: Callable[[float], str], y_text: Callable[[float], str]) -> Markup:
        """Grid, ticks and the label of the x axis; the y axis is named by the heading of the chart."""
        bottom = HEIGHT - BOTTOM
        rows = [
            (
                element(
                    "line", x1=LEFT, x2=WIDTH - RIGHT, y1=self.y(t), y2=self.y(t), class_="base" if not i else "grid"
                ),
                label(LEFT - 7, self.y(t) + 3.5, y_text(t), "end"),
            )
            for i, t in enumerate(self.y_ticks)
        ]
        columns = [label(self.x(t), bottom + 15, x_text(t)) for t in self.x_ticks]
        title = label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_label, kind="axis")
        return element("g", rows, columns, title)


def label(x: float, y: float, text: str, anchor: str = "middle", *, kind: str = "tick") -> Markup:
    return element("text", text, x=x, y=y, text_anchor=anchor, class_=kind)


def drawing(title: str, *content: Content, height: int = HEIGHT) -> Markup:
    """An SVG that grows with its column; `title` is what a screen reader says."""
    return element(
        "svg", element("title", title), content,
        viewBox=f"0 0 {WIDTH} {height}", role="img", xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip
