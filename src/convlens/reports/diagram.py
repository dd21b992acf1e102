"""A network as a drawing: a box a layer, from the picture down to the logits. SVG, for a browser or a paper."""

from __future__ import annotations

from collections.abc import Iterable

from convlens.errors import counted
from convlens.graph import Graph
from convlens.measurement import NetworkMeasure
from convlens.reports.figures import count, shape, short
from convlens.reports.flow import Box, boxes_of
from convlens.reports.layered import Layout, layered
from convlens.reports.markup import Markup, element

BOX, GAP, HEIGHT, STEP = 232, 20, 38, 62  # pixels: width of a box, between boxes, height, from layer to layer
JOIN = 56  # width of a sum
LEFT, TOP = 112, 20
LONGEST = {True: 34, False: 40}  # letters that fit in a box: of its title, of the line below
STYLE = """
.network text { font: 12px system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; fill: #1c2024; }
.network .more, .network .stage { fill: #5f6b7a; font-size: 10.5px; }
.network path { fill: none; stroke: #8594a8; stroke-width: 1.4; }
.network rect { fill: #fff; stroke: #8594a8; }
.network .convolution rect { fill: #e4edfd; stroke: #2a62d4; }
.network .depthwise rect { fill: #e2f4f1; stroke: #0e7f6d; }
.network .linear rect { fill: #fdeee2; stroke: #c2560c; }
.network .pooling rect { fill: #f0eafb; stroke: #6b46c1; }
.network .input rect { fill: #1c2024; stroke: #1c2024; }
.network .input text { fill: #fff; }
.network .band { fill: #8594a8; fill-opacity: 0.09; stroke: none; }
@media (prefers-color-scheme: dark) {
  .network text { fill: #e7eaee; } .network .more, .network .stage { fill: #98a3b1; }
  .network rect { fill: #181c22; stroke: #75839a; }
  .network .convolution rect { fill: #172748; stroke: #7aa7ff; }
  .network .depthwise rect { fill: #10322d; stroke: #4fc1ad; }
  .network .linear rect { fill: #3a2413; stroke: #f09a5c; }
  .network .pooling rect { fill: #2a2143; stroke: #b197f5; }
  .network .input rect { fill: #e7eaee; stroke: #e7eaee; } .network .input text { fill: #101317; }
}
@media print { .network text { fill: #000; } }
"""


def network_diagram(graph: Graph, measure: NetworkMeasure) -> Markup:
    """A trace and its measure -> SVG. Norms and activations stand in the box of the layer that they follow.

    Pointing at a box shows parameters, MACs and receptive field. Light and dark.
    """
    boxes = boxes_of(graph)
    layout = layered([box.sources for box in boxes])
    facts = _facts(measure)
    macs = f"{'' if measure.complete else 'at least '}{short(measure.macs)}"
    width = round(LEFT + layout.width * (BOX + GAP) + BOX + LEFT)
    height = TOP + (layout.num_layers - 1) * STEP + HEIGHT + TOP
    return element(
        "svg",
        element("title", f"{counted(len(boxes), 'step')}, {count(measure.parameters)} parameters, {macs} MACs"),
        element("style", Markup(STYLE)),
        _bands(boxes, layout, width),
        (_line(line) for line in layout.lines),
        (_box(box, layout.x[n], layout.layer[n], facts) for n, box in enumerate(boxes)),
        class_="network", role="img", xmlns="http://www.w3.org/2000/svg",
        width=width, height=height, viewBox=f"0 0 {width} {height}",
    )  # fmt: skip


def _centre(x: float) -> float:
    return round(LEFT + x * (BOX + GAP) + BOX / 2, 1)


def _top(layer: int) -> int:
    return TOP + layer * STEP


def _facts(measure: NetworkMeasure) -> dict[tuple[str, str], str]:
    """By path and kind: what pointing at its box shows."""
    found: dict[tuple[str, str], list[str]] = {}
    for layer in measure.layers:
        most = "" if layer.exact else "at most "
        field = f", sees {most}{'×'.join(map(str, layer.receptive_field))} px" if layer.receptive_field else ""
        field = f", sees {most}the whole picture" if layer.whole_picture else field
        macs = "unknown" if layer.macs is None else short(layer.macs)
        line = (
            f"{layer.kind} {layer.path}: {shape(layer.output_shape)}, {count(layer.parameters)} parameters, {macs} MACs"
        )
        found.setdefault((layer.path, layer.kind), []).append(line + field)
    return {part: "\n".join(lines) for part, lines in found.items()}


def _box(box: Box, x: float, layer: int, facts: dict[tuple[str, str], str]) -> Markup:
    middle, top = _centre(x), _top(layer)
    small = box.kind == "join" and len(box.title) == 1
    width = JOIN if small else BOX
    rect = element("rect", x=middle - width / 2, y=top, width=width, height=HEIGHT, rx=HEIGHT / 2 if small else 6)
    below = "" if small else " · ".join([shape(box.shape), *box.more])
    texts = [
        element("text", _cut(box.title, LONGEST[True]), x=middle, y=top + (24 if small else 16), text_anchor="middle"),
        element("text", _cut(below, LONGEST[False]), x=middle, y=top + 30, text_anchor="middle", class_="more")
        if below
        else None,
    ]
    if small and box.more:
        texts.append(element("text", " · ".join(box.more), x=middle + JOIN / 2 + 6, y=top + 23, class_="more"))
    told = "\n".join(facts[part] for part in box.parts if part in facts) or f"{box.title}: {shape(box.shape)}"
    return element("g", element("title", told), rect, texts, class_=box.kind)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _line(points: Iterable[tuple[float, int]]) -> Markup:
    """From the lower edge of a box, past boxes on straight lines, to the upper edge of another."""
    (first, layer), *others = points
    x, y = _centre(first), _top(layer) + HEIGHT
    steps = [f"M{x} {y}"]
    for place, (next_x, layer) in enumerate(others, 1):
        to_x, to_y = _centre(next_x), _top(layer)
        half = (to_y - y) / 2
        steps.append(f"C{x} {y + half} {to_x} {to_y - half} {to_x} {to_y}" if to_x != x else f"V{to_y}")
        x, y = to_x, to_y
        if place < len(others):
            y += HEIGHT
            steps.append(f"V{y}")
    return element("path", d="".join(steps))


def _bands(boxes: list[Box], layout: Layout, width: int) -> list[Markup]:
    """A ground behind the layers of each stage, with its name, where stages follow one another."""
    spans: dict[str, tuple[int, int]] = {}
    for box, layer in zip(boxes, layout.layer, strict=True):
        if box.parts and (stage := _stage(box.parts[0][0])):
            low, high = spans.get(stage, (layer, layer))
            spans[stage] = (min(low, layer), max(high, layer))
    ordered = sorted(spans.items(), key=lambda item: item[1])
    drawn, end = [], -1
    for number, (stage, (low, high)) in enumerate(ordered):
        if low <= end:
            return []  # they run beside one another
        end = high
        top, bottom = _top(low) - 10, _top(high) + HEIGHT + 10
        if number % 2 == 0:
            drawn.append(element("rect", x=0, y=top, width=width, height=bottom - top, class_="band"))
        drawn.append(element("text", stage, x=10, y=top + 18, class_="stage"))
    return drawn


def _stage(path: str) -> str:
    """stages.2.1.conv1 -> stages.2; head.fc -> head"""
    first, *rest = path.split(".")
    return f"{first}.{rest[0]}" if first == "stages" and rest else first
