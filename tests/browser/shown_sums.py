"""What the page of sums says, read from its text and computed again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def number(text: str) -> float:
    """ "−1.25 × 10⁻⁸" as the number that it says."""
    plain = text.strip().replace("−", "-")
    if "× 10" in plain:
        mantissa, power = plain.split(" × 10")
        return float(mantissa) * 10.0 ** int(power.translate(RAISED))
    return float(plain)


def decimal(text: str) -> Decimal:
    return Decimal(text.strip().replace("−", "-"))


def unit_of(text: str) -> float:
    """One of the last digit that is shown."""
    mantissa, _, power = text.strip().replace("−", "-").partition(" × 10")
    places = len(mantissa.partition(".")[2])
    return 10.0 ** (-places + (int(power.translate(RAISED)) if power else 0))


@dataclass(frozen=True)
class Line:
    """One line of a running sum: where it comes from, the cells of its grids or its factors, and two numbers."""

    source: str
    grids: list[np.ndarray]
    factors: list[float]
    places: list[tuple[int, int] | None]
    term: str
    total: str


@dataclass(frozen=True)
class Step:
    op: str
    title: str
    lines: list[Line]
    named: dict[str, str]
    cells: list[list[str]]
    chosen: str | None
    value: str


READ_STEPS = """() => [...document.querySelectorAll("unit-arithmetic .step")].map(step => ({
  op: step.dataset.op,
  title: step.querySelector("h4").textContent,
  lines: [...step.querySelectorAll(".sum-line")].map(line => ({
    source: line.querySelector(".source").textContent,
    grids: [...line.querySelectorAll(".number-grid")].map(grid => ({
      columns: Number(getComputedStyle(grid).getPropertyValue("--columns")),
      texts: [...grid.children].map(cell => cell.textContent),
      labels: [...grid.children].map(cell => cell.getAttribute("aria-label")),
    })),
    factors: [...line.querySelectorAll(".factors > .cell, .product > .cell")].map(cell => cell.textContent),
    term: line.querySelector(".term").textContent,
    total: line.querySelector(".sum").textContent,
  })),
  named: Object.fromEntries(
    [...step.querySelectorAll("mn[data-name]")].map(part => [part.dataset.name, part.textContent])),
  grids: [...step.querySelectorAll(".pooled > .number-grid")].map(
    grid => [...grid.children].map(cell => cell.textContent)),
  chosen: step.querySelector(".cell.chosen")?.textContent ?? null,
  value: [...step.querySelectorAll(".value, mn[data-name=value]")].at(-1)?.textContent ?? "",
}))"""


def steps_of(page: Any, *, unfolded: bool = True) -> list[Step]:
    """The steps on the page; every term of every sum is unfolded first, unless the focus must stay where it is."""
    while unfolded and page.locator("unit-arithmetic button.more").count():
        page.locator("unit-arithmetic button.more").first.click()
    return [_step(raw) for raw in page.evaluate(READ_STEPS)]


def _step(raw: dict[str, Any]) -> Step:
    lines = [
        Line(
            line["source"],
            [np.array([number(t) for t in grid["texts"]]).reshape(-1, grid["columns"]) for grid in line["grids"]],
            [number(text) for text in line["factors"]],
            [_place(label) for label in line["grids"][0]["labels"]] if line["grids"] else [],
            line["term"],
            line["total"],
        )
        for line in raw["lines"]
    ]
    return Step(raw["op"], raw["title"], lines, raw["named"], raw["grids"], raw["chosen"], raw["value"])


def _place(label: str) -> tuple[int, int] | None:
    found = re.match(r"row (-?\d+), column (-?\d+): (?!padding)", label)
    return (int(found[1]), int(found[2])) if found else None


def check_running_sum(lines: list[Line]) -> None:
    """Every line adds up exactly, digit by digit, as it is shown."""
    before = Decimal(0)
    for line in lines:
        assert before + decimal(line.term) == decimal(line.total), (line.source, str(before), line.term, line.total)
        before = decimal(line.total)


def check_products(lines: list[Line]) -> None:
    """What a line adds is what its cells say: patch × kernel, x × w, to the last digit shown (and one for rounding)."""
    for line in lines:
        if line.source == "the bias":
            continue
        shown = float((line.grids[0] * line.grids[1]).sum()) if line.grids else float(np.prod(line.factors))
        assert abs(shown - number(line.term)) <= 1.6 * unit_of(line.term), (line.source, shown, line.term)
