"""The plot of accuracy against cost."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from convlens.reports import ParetoPoint, pareto_plot
from convlens.reports.axes import HEIGHT
from convlens.reports.pareto import _powers

SVG = "{http://www.w3.org/2000/svg}"


def point(name: str, cost: float, accuracy: float | None, *, front: bool = False) -> ParetoPoint:
    return ParetoPoint(name, cost, accuracy, None if accuracy is None else accuracy - 0.01, accuracy, front)


def test_points_lie_by_the_logarithm_of_cost_and_by_accuracy():
    points = [point("a", 1e6, 0.5, front=True), point("b", 1e7, 0.7, front=True), point("c", 1e8, 0.6)]
    svg = ET.fromstring(pareto_plot(points, "MACs"))
    places = {
        group.find(f"{SVG}title").text.split(":")[0]: [
            float(group.find(f"{SVG}circle").get(axis)) for axis in ("cx", "cy")
        ]
        for group in svg.iter(f"{SVG}g")
        if group.find(f"{SVG}circle") is not None
    }
    assert abs((places["b"][0] - places["a"][0]) - (places["c"][0] - places["b"][0])) < 0.3
    assert places["b"][1] < places["c"][1] < places["a"][1]
    assert {"a", "b", "c", "MACs"} <= {text.text for text in svg.iter(f"{SVG}text")}


def test_a_cost_with_noise_has_a_line_across_and_the_plot_says_what_it_means():
    points = [replace(point(name, ms, 0.5), noise=noise) for name, ms, noise in [("a", 10, 0.1), ("b", 10.5, 0.1)]]
    svg = ET.fromstring(pareto_plot(points, "ms"))
    lines = [line for line in svg.iter(f"{SVG}line") if line.get("class") == "interval noise"]
    dots = [float(circle.get("cx")) for circle in svg.iter(f"{SVG}circle")]
    assert len(lines) == 2
    assert all(float(line.get("x1")) < dot < float(line.get("x2")) for line in lines for dot in dots)
    assert min(float(line.get("x1")) for line in lines) >= 46  # none leaves the plot
    assert "ms; costs within a point's line across cannot be told apart from it" in {
        t.text for t in svg.iter(f"{SVG}text")
    }
    assert "told apart" not in pareto_plot([point("a", 10, 0.5)], "MACs")


def test_what_has_no_accuracy_is_left_out_and_nothing_is_a_plot_too():
    assert "a:" not in pareto_plot([point("a", 1, None), point("b", 2, 0.5)], "ms")
    assert "no accuracy is known" in pareto_plot([point("a", 1, None)], "ms")


def texts(svg: ET.Element, *, number: bool) -> list[ET.Element]:
    kind = "name number" if number else "name"
    return [text for text in svg.iter(f"{SVG}text") if text.get("class") == kind]


def place(one: ET.Element) -> tuple[float, float]:
    return float(one.get("x")), float(one.get("y"))


def test_names_do_not_lie_on_one_another():
    points = [point(f"network_{number}", 1e6, 0.5) for number in range(9)]
    svg = ET.fromstring(pareto_plot(points, "MACs"))
    names = texts(svg, number=False)
    assert len({place(one) for one in names}) == len(names) == 9
    assert sum(place(one)[1] < HEIGHT for one in names) == 4  # a side each, the others below


def crowd(seed: int, number: int) -> list[ParetoPoint]:
    draw = np.random.default_rng(seed)
    costs, accuracies = 10 ** draw.uniform(7, 8, number), draw.uniform(0.6, 0.7, number)
    return [point(f"runs/network_{n}", *one) for n, one in enumerate(zip(costs, accuracies, strict=True))]


@pytest.mark.parametrize("number", [2, 20, 60])
def test_every_point_is_told_without_a_mouse(number):
    """By a name beside it, or by a number that stands below the plot with the name."""
    svg = ET.fromstring(pareto_plot(crowd(0, number), "MACs"))
    assert sorted(one.text for one in texts(svg, number=False)) == sorted(f"runs/network_{n}" for n in range(number))
    numbers = texts(svg, number=True)
    inside = [one for one in numbers if place(one)[1] < HEIGHT]
    below = [one for one in numbers if place(one)[1] >= HEIGHT]
    assert [one.text for one in inside] == [one.text for one in below] == [str(n + 1) for n in range(len(inside))]
    assert (len(inside) > 0) == (number > 2)
    lowest = max((place(one)[1] for one in below), default=0)
    assert lowest < float(svg.get("viewBox").split()[3])


def test_a_number_is_beside_its_own_point_or_has_a_line_to_it():
    points = crowd(1, 30)
    svg = ET.fromstring(pareto_plot(points, "MACs"))
    circles = [(float(c.get("cx")), float(c.get("cy"))) for c in svg.iter(f"{SVG}circle")]
    groups = {text: group for group in svg.iter(f"{SVG}g") for text in group.findall(f"{SVG}text")}
    lines = 0
    for text in texts(svg, number=True):
        if place(text)[1] < HEIGHT:
            x, y = place(text)
            near = sorted(math.dist((x, y - 2.5), circle) for circle in circles)
            line = groups[text].find(f"{SVG}line")
            lines += line is not None
            assert (float(line.get("x1")), float(line.get("y1"))) in circles if line is not None else near[1] > near[0]
    assert lines > 0


def test_a_name_too_long_for_the_list_keeps_its_end():
    points = [point(f"{'folder/' * 20}{name}", 1e6, 0.5) for name in ("a", "b")]
    names = [one.text for one in texts(ET.fromstring(pareto_plot(points, "MACs")), number=False)]
    assert [(name[0], name[-2:]) for name in names] == [("…", "/a"), ("…", "/b")]


def test_a_name_lies_on_no_other_point():
    """One stands where the first one's name would begin."""
    points = [point("a name", 1e6, 0.5), point("b", 1.05e6, 0.5), point("c", 1e7, 0.7)]
    svg = ET.fromstring(pareto_plot(points, "MACs"))
    name = next(t for t in svg.iter(f"{SVG}text") if t.text == "a name")
    circles = [(float(c.get("cx")), float(c.get("cy"))) for c in svg.iter(f"{SVG}circle")]
    assert name.get("text-anchor") != "start"
    wide = {"end": 1, "middle": 0.5}[name.get("text-anchor")] * 6 * 3.6
    left, base = float(name.get("x")) - wide, float(name.get("y"))
    assert not any(left - 3 < x < left + 6 * 3.6 + 3 and base - 9 < y < base + 4.5 for x, y in circles)


@pytest.mark.parametrize(("least", "most"), [(5.5, 9.0), (0.97, 1.02), (3.0, 3.1), (1.0, 1000.0), (2.1, 4.9)])
def test_an_axis_of_costs_has_two_ticks_or_more_within_it(least: float, most: float) -> None:
    ticks = _powers(math.log10(least), math.log10(most))
    assert 2 <= len(ticks) <= 8 and math.log10(least) <= ticks[0] < ticks[-1] <= math.log10(most)
