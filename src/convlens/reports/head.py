"""The top of the page: what this run is, and the few numbers that one asks for first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from convlens.errors import counted
from convlens.reports.figures import duration, percent, pictures, plain, short, size, views
from convlens.reports.markup import Content, Markup, element


def header(manifest: dict[str, Any], evaluation: dict[str, Any] | None, measure: dict[str, Any] | None) -> Markup:
    tiles = [_accuracy(manifest, evaluation), *_other(manifest, evaluation, measure)]
    return element(
        "header",
        element("p", "convlens report", class_="eyebrow"),
        element("h1", manifest.get("name") or "a run"),
        element("p", " · ".join(_described(manifest)), class_="lead"),
        element("div", [tile for tile in tiles if tile], class_="tiles"),
    )


def navigation(sections: Sequence[tuple[str, str]]) -> Markup:
    return element("nav", [element("a", title, href=f"#{id_}") for id_, title in sections], aria_label="Sections")


def _described(manifest: dict[str, Any]) -> list[str]:
    architecture = manifest.get("architecture") or {}
    network = str(architecture.get("name") or architecture.get("network") or "network")
    options = architecture.get("options") or {}
    if options:
        network += " (" + ", ".join(f"{key} {plain(value)}" for key, value in options.items()) + ")"
    parts = [network, counted(len(manifest.get("classes") or ()), "class", "classes")]
    preprocess = manifest.get("preprocess") or {}
    if preprocess.get("size"):
        kind = {1: "grey", 3: "colour"}.get(preprocess.get("channels", 0), "")
        parts.append(" × ".join(str(side) for side in preprocess["size"]) + f" px {kind}".rstrip())
    return [*parts, *_when(manifest.get("created"))]


def _when(created: Any) -> list[str]:
    try:
        return [f"{datetime.fromisoformat(str(created)):%d %B %Y, %H:%M}".lstrip("0")]
    except ValueError:
        return [str(created)] if created else []


def _tile(name: str, value: str, below: Content = None, *, kind: str | None = None) -> Markup:
    detail = element("span", below, class_="below") if below else None
    return element("div", element("span", name, class_="name"), element("strong", value), detail, class_=kind)


def _accuracy(manifest: dict[str, Any], evaluation: dict[str, Any] | None) -> Markup | None:
    if evaluation and evaluation.get("accuracy") is not None:
        low, high = evaluation.get("accuracy_low"), evaluation.get("accuracy_high")
        where = f"{_scored(manifest, evaluation)}{views(evaluation)}"
        interval = f"95 %: {100 * low:.1f} to {percent(high)}, on " if low is not None else "on "
        return _tile("Accuracy", percent(evaluation["accuracy"]), [interval, where], kind="first")
    validation = (manifest.get("metrics") or {}).get("val") or {}
    if validation.get("accuracy") is None:
        return None
    below = f"{pictures(validation.get('num_pictures'))}, which also chose the temperature"
    return _tile("Validation accuracy", percent(validation["accuracy"]), below, kind="first")


def _scored(manifest: dict[str, Any], evaluation: dict[str, Any]) -> str:
    """How many and which pictures these are: of a part of the run's own, or of another set."""
    number = pictures(evaluation.get("num_pictures"))
    own, source = (manifest.get("data") or {}).get("source"), evaluation.get("source")
    if own and source and source != own:
        return f"{number} of {evaluation.get('data') or source}"
    part = evaluation.get("part")
    return number.replace(" ", f" {part} ", 1) if part and part != "all" else number


def _other(
    manifest: dict[str, Any], evaluation: dict[str, Any] | None, measure: dict[str, Any] | None
) -> list[Markup | None]:
    top5 = (evaluation or {}).get("top5_accuracy")
    error = (evaluation or {}).get("expected_calibration_error")
    weight_bytes = (manifest.get("weights") or {}).get("size_bytes") or (measure or {}).get("weight_bytes")
    macs = (measure or {}).get("macs")
    cost = f"{'' if (measure or {}).get('complete', True) else 'at least '}{short(macs)} MACs"
    seconds = (manifest.get("metrics") or {}).get("train_seconds")
    return [
        _tile("Top 5", percent(top5), _top5(evaluation or {})) if top5 is not None else None,
        _tile("Calibration error", percent(error), "expected; lower is better") if error is not None else None,
        _tile("Parameters", short((measure or {}).get("parameters")), cost) if measure else None,
        _tile("Weights", size(weight_bytes), "on disk") if weight_bytes else None,
        _tile("Trained in", duration(seconds), _processor(manifest)) if seconds else None,
    ]


def _top5(evaluation: dict[str, Any]) -> str:
    """Written by 0.2.0 and before, an evaluation has no interval of it."""
    if evaluation.get("top5_low") is None:
        return "right class among the first five"
    return f"95 %: {100 * evaluation['top5_low']:.1f} to {percent(evaluation['top5_high'])}"


def _processor(manifest: dict[str, Any]) -> str | None:
    machine = manifest.get("machine") or {}
    if machine.get("accelerator"):
        return str(machine["accelerator"])
    cpus = machine.get("cpus")
    return f"on {counted(cpus, 'CPU core')}" if isinstance(cpus, int) else None
