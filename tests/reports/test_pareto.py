"""The plot of accuracy against cost."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from convlens.reports import ParetoPoint, pareto_plot

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


def test_what_has_no_accuracy_is_left_out_and_nothing_is_a_plot_too():
    assert "a:" not in pareto_plot([point("a", 1, None), point("b", 2, 0.5)], "ms")
    assert "no accuracy is known" in pareto_plot([point("a", 1, None)], "ms")


def test_names_do_not_lie_on_one_another():
    points = [point(f"network_{number}", 1e6, 0.5) for number in range(9)]
    svg = ET.fromstring(pareto_plot(points, "MACs"))
    places = {(t.get("x"), t.get("y")) for t in svg.iter(f"{SVG}text") if t.get("class") == "name"}
    assert len(places) == sum(t.get("class") == "name" for t in svg.iter(f"{SVG}text")) == 4  # a side each


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
