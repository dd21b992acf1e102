"""`write_report`: a run -> one static HTML file that needs no network, no script and no second file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlens.errors import ConvlensError
from convlens.reports.calibration import calibration_section
from convlens.reports.classes import classes_section
from convlens.reports.confusion import confusion_section
from convlens.reports.curves import training_section
from convlens.reports.diagram import network_diagram
from convlens.reports.document import document
from convlens.reports.facts import data_section, machine_section, recipe_section
from convlens.reports.figures import percent, pictures, views
from convlens.reports.gallery import (
    errors_section,
    explanations_section,
    recognised_section,
    shown_errors,
    shown_recognised,
)
from convlens.reports.head import header, navigation
from convlens.reports.markup import Markup, element
from convlens.reports.network import network_section
from convlens.reports.pictureless import pictureless, pictureless_pairs
from convlens.reports.robustness import robustness_section

if TYPE_CHECKING:
    from convlens.runs import Run

Part = tuple[str, str, Markup | None]  # id, title in the menu ("" for none), section


def write_report(run: Run, path: str | Path | None = None) -> Path:
    """Write the report of a run, by default to `report.html` in its folder; gives the path.

    What the run does not have yet (evaluations, explanations) is left out. Raises StorageError when the file cannot be
    written and RunError when the run is damaged.
    """
    from convlens.storage import write_text

    target = Path(path) if path is not None else run.folder.report
    write_text(target, page(run, *measured(run)), option=None)
    return target


def page(run: Run, measure: dict[str, Any] | None, diagram: Markup | None = None) -> str:
    """The whole document; `measure` is a NetworkMeasure as a dict, `diagram` the network as an SVG."""
    manifest = run.manifest.to_dict()
    evaluations = ordered(run.evaluations)
    parts = [part for part in _parts(run, manifest, evaluations, measure, diagram) if part[2] is not None]
    main = evaluations[0][1] if evaluations else None
    top = header(manifest, main, measure)
    menu = navigation([(id_, title) for id_, title, _ in parts if title])
    version = (manifest.get("versions") or {}).get("convlens")
    sections = [section for _, _, section in parts if section]
    return document(f"{manifest.get('name')} · convlens report", [top, menu, *sections], version)


def _parts(
    run: Run,
    manifest: dict[str, Any],
    evaluations: list[tuple[str, dict[str, Any]]],
    measure: dict[str, Any] | None,
    diagram: Markup | None,
) -> Iterator[Part]:
    yield "training", "Training", training_section(run.history)
    for place, (name, evaluation) in enumerate(evaluations):
        yield from _evaluation(run, manifest["classes"], name, evaluation, several=len(evaluations) > 1, place=place)
    yield "explanations", "Explanations", explanations_section(run.explanations, run.path)
    yield "network", "Network", network_section(measure, diagram)
    yield "data", "Data", data_section(manifest.get("data"))
    yield "recipe", "Recipe", recipe_section(manifest.get("recipe"), manifest.get("plan"), manifest.get("seed"))
    yield "machine", "Machine", machine_section(manifest)


def _evaluation(
    run: Run, classes: list[str], name: str, evaluation: dict[str, Any], *, several: bool, place: int
) -> Iterator[Part]:
    """Confusions, classes, calibration and errors of one data set; the first one has the plain ids."""
    prefix = f"e{place}-" if place else ""
    if several or _saw_trained(evaluation) or views(evaluation):
        yield f"{prefix}evaluation", f"On {name}" if place else "", _banner(name, evaluation, f"{prefix}evaluation")
    matrix = evaluation.get("confusion") or []
    groups = shown_errors(evaluation, classes)
    right = shown_recognised(evaluation, classes)
    rest = pictureless_pairs(evaluation, classes, groups)
    others = pictureless(rest, evaluation, classes, f"evaluation/{name}.json", prefix)
    sections = {
        "confusions": confusion_section(evaluation, classes, {*groups, *rest, *right}, prefix),
        "classes": classes_section(evaluation, prefix),
        "calibration": calibration_section(evaluation, prefix),
        "robustness": robustness_section(evaluation, prefix),
        "errors": errors_section(groups, matrix, classes, run.path, prefix=prefix, others=others),
        "recognised": recognised_section(right, matrix, classes, run.path, prefix=prefix),
    }
    for id_, made in sections.items():
        yield f"{prefix}{id_}", "" if place else id_.capitalize(), made


def _banner(name: str, evaluation: dict[str, Any], id_: str) -> Markup:
    low, high = percent(evaluation.get("accuracy_low")), percent(evaluation.get("accuracy_high"))
    words = f"Accuracy {percent(evaluation.get('accuracy'))} ({low} to {high}) on "
    words += f"{pictures(evaluation.get('num_pictures'))}{views(evaluation)}."
    warning = None
    if _saw_trained(evaluation):
        text = "Pictures that were trained on are among them, so this says little about new ones."
        warning = element("p", element("span", "warning", class_="badge warning"), " ", text)
    heading = element("h2", f"Evaluation on {name}")
    return element("section", heading, element("p", words), warning, class_="banner", id=id_)


def _saw_trained(evaluation: dict[str, Any]) -> bool:
    """Was it asked to score what the network was trained on, too?"""
    return str(evaluation.get("part")).endswith("with train")


def ordered(evaluations: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The run's own held-out part first, single views before means over several, then by name."""

    def place(item: tuple[str, dict[str, Any]]) -> tuple[bool, bool, str]:
        return item[1].get("part") != "test", bool(views(item[1])), item[0]

    return sorted(evaluations.items(), key=place)


def measured(run: Run) -> tuple[dict[str, Any] | None, Markup | None]:
    """Numbers of the network, layer by layer, and its drawing; None where it cannot be built here, as a user's own."""
    from convlens.graph import trace
    from convlens.layers.fake_quantised import unrounded
    from convlens.measurement import measure_network

    try:
        network = unrounded(run.model)
        graph = trace(network, run.input_shape)
    except ConvlensError:
        return None, None
    measure = measure_network(network, graph)
    return measure.to_dict(), network_diagram(graph, measure)
