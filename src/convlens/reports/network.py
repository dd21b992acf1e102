"""The network layer by layer: shape, parameters, multiplications, receptive field."""

from __future__ import annotations

from typing import Any

from convlens.reports.figures import MISSING, count, shape, short, size
from convlens.reports.markup import Content, Markup, bar, element, section, table

HEAD = ["layer", "kind", "output", "parameters", "MACs", "activations", "receptive field"]
MOST_OPEN = 40


def network_section(measure: dict[str, Any] | None, diagram: Markup | None = None) -> Markup | None:
    layers = (measure or {}).get("layers")
    if not measure or not layers:
        return None
    total = measure.get("macs") or 0
    rows = [_row(layer, total) for layer in layers]
    body = table(HEAD, [*rows, _sum(measure)], kind="layers", text=3)
    if len(layers) > MOST_OPEN:
        body = element("details", element("summary", f"all {count(len(layers))} layers"), body)
    drawn = element("details", element("summary", "the network as a drawing"), _scrolling(diagram)) if diagram else None
    return section("Network", body, drawn, id_="network", lead=_sentence(measure))


def _scrolling(diagram: Markup) -> Markup:
    return element("div", diagram, class_="scroll diagram", tabindex="0")


def _row(layer: dict[str, Any], total_macs: float) -> list[Content]:
    macs = layer.get("macs")
    share = macs / total_macs if macs and total_macs else 0.0
    return [
        element("td", element("code", layer.get("path") or "(root)")),
        layer.get("kind"),
        shape(layer.get("output_shape")),
        count(layer.get("parameters")) if layer.get("parameters") else MISSING,
        [_macs(macs), bar(share)],
        size(layer.get("activation_bytes")),
        ("" if layer.get("exact", True) else "at most ")
        + _field(layer.get("receptive_field"), whole=bool(layer.get("whole_picture"))),
    ]


def _field(value: Any, *, whole: bool = False) -> str:
    """A side, or height and width, in pixels of the input."""
    if whole:
        return "whole picture"
    sides = list(value) if isinstance(value, list | tuple) else [value]
    sides = [side for side in sides if side is not None]
    if not sides:
        return MISSING
    return f"{sides[0]} px" if len(set(sides)) == 1 else " × ".join(map(str, sides)) + " px"


def _macs(value: Any) -> str:
    return short(value) if value is not None else "unknown"


def _sum(measure: dict[str, Any]) -> list[Content]:
    least = "" if measure.get("complete", True) else "at least "
    most = "" if measure.get("exact_field", True) else "at most "
    values: list[Content] = [
        "in all", "", "", count(measure.get("parameters")), [least + _macs(measure["macs"]), bar(1.0)],
        size(measure.get("activation_bytes")), most + _field(measure.get("receptive_field")),
    ]  # fmt: skip
    return [element("td", element("b", v), class_="sum" if i < 3 else "sum number") for i, v in enumerate(values)]


def _sentence(measure: dict[str, Any]) -> str:
    least = "" if measure.get("complete", True) else "at least "
    parts = [
        f"{count(measure.get('parameters'))} parameters",
        f"{least}{short(measure['macs'])} multiply-accumulate operations (MACs) a picture",
        f"{least}{short(measure.get('flops'))} FLOPs",
    ]
    if measure.get("peak_activation_bytes"):
        parts.append(f"{size(measure['peak_activation_bytes'])} of activations at most at a time")
    unknown = measure.get("unknown_operators")
    if unknown:
        parts.append(f"not counted, since unknown: {', '.join(unknown)}")
    return "; ".join(parts) + "."
