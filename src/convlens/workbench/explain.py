"""`convlens explain`: why a run says what it says, as pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from convlens import explanation
from convlens.errors import PictureError, UsageError, unknown_name
from convlens.explanation import METHODS, SanityCheck
from convlens.measurement import probabilities
from convlens.pictures import contact_sheet, overlay, png_bytes
from convlens.reports import write_report
from convlens.runs import Run
from convlens.storage import guard, write_bytes, write_json
from convlens.workbench.predict import Picture, name_pictures
from convlens.workbench.results import Progress

INSIDES = ("filters", "feature_maps")  # pictures of the network itself
SANITY_PICTURES = 4  # maps that the randomisation check compares
SHEET_PICTURES = 24  # on one sheet
TILE = 192


@dataclass(frozen=True)
class Explained:
    """One picture with its map: `probability` is the calibrated one of `target`."""

    picture: str
    target: str
    probability: float
    note: str


@dataclass(frozen=True)
class ExplainResult:
    """`files` are the PNGs that were written; `sanity` is None where no map was made or the check was not asked for."""

    run: Path
    method: str
    layer: str | None
    files: tuple[Path, ...]
    pictures: tuple[Explained, ...]
    unreadable: tuple[str, ...]
    sanity: SanityCheck | None
    report: Path


def explain(
    run: Run | str | Path,
    pictures: Picture | Sequence[Picture] = (),
    *,
    method: str = "grad_cam",
    target: str | int | None = None,
    layer: str | None = None,
    out: str | Path | None = None,
    sanity: bool = True,
    progress: Progress | None = None,
) -> ExplainResult:
    """Draw what the network sees: a map over each picture, its feature maps, or the filters.

    `method` is saliency, grad_cam, feature_maps or filters (which needs no picture); `target` a class by name or
    number, by default each picture's predicted one. Writes PNGs to `out`, by default the run's `explanations/`.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    name = method.lower().replace("-", "_")
    if name not in METHODS and name not in INSIDES:
        known = [*METHODS, *INSIDES]
        raise unknown_name("explanation method", method, known, f"there are {', '.join(known)}")
    folder = Path(out) if out is not None else run.folder.explanations
    if name == "filters":
        sheet = explanation.filters_picture(run.model, layer)
        caption = f"Filters of {layer or explanation.filters(run.model).layer}"
        return _written(run, name, layer, folder, [("filters", sheet, caption)])
    arrays, names, unreadable = _decoded(run, pictures)
    if name == "feature_maps":
        return _feature_maps(run, arrays, names, unreadable, layer, folder)
    return _maps(run, arrays, names, unreadable, name, target, layer, folder, sanity, progress)


def _decoded(run: Run, pictures: Picture | Sequence[Picture]) -> tuple[list[np.ndarray], list[str], tuple[str, ...]]:
    arrays, names, unreadable = [], [], []
    for name, read in name_pictures(pictures):
        try:
            # the map is drawn over the picture itself, so it is read larger than the network sees it
            arrays.append(read(max(512, 2 * max(run.preprocess.size))))
            names.append(name)
        except PictureError as error:
            unreadable.append(str(error))
    if not arrays:
        raise UsageError(f"none of the pictures can be read: {'; '.join(unreadable[:3])}")
    return arrays, names, tuple(unreadable)


def class_number(run: Run, target: str | int | None) -> int | None:
    """A class by name, or by number where no class is called so."""
    if target is None or target in run.classes:
        return None if target is None else run.classes.index(str(target))
    if str(target).isdigit() and int(target) < len(run.classes):
        return int(target)
    raise unknown_name("class", str(target), run.classes, f"the run knows {', '.join(run.classes[:12])}")


def _maps(
    run: Run,
    arrays: list[np.ndarray],
    names: list[str],
    unreadable: tuple[str, ...],
    method: str,
    target: str | int | None,
    layer: str | None,
    folder: Path,
    sanity: bool,
    progress: Progress | None,
) -> ExplainResult:
    wanted = class_number(run, target)
    check = _check(run, arrays, wanted, method, layer) if sanity else None
    tiles: list[np.ndarray] = []
    labels: list[str] = []
    explained: list[Explained] = []
    seen_layer = layer
    for place, (array, name) in enumerate(zip(arrays, names, strict=True)):
        images = run.preprocess([array])
        found = explanation.explain(run.model, images, wanted, method=method, layer=layer)
        seen_layer = found.layer
        shown = _large_enough(array)
        heat = run.preprocess.place(found.heat()[0], shown.shape[:2])
        with torch.inference_mode():
            shares = probabilities(run.model(images).float(), run.temperature)[0]
        label = run.classes[found.targets[0]]
        share = float(shares[found.targets[0]])
        explained.append(Explained(name, label, share, found.note))
        tiles += [shown, overlay(shown, heat)]
        labels += [Path(name).name, f"{label} {share:.1%}"]
        if progress:
            progress("explain", place + 1, len(arrays), "")
    title = f"{METHODS[method].title}" + (f" at {seen_layer}" if seen_layer else "")
    badge = f"sanity check {check.badge}" if check else "sanity check not run"
    sheets = _sheets(method, title, badge, tiles, labels, names)
    return _written(run, method, seen_layer, folder, sheets, tuple(explained), unreadable, check)


def _large_enough(picture: np.ndarray) -> np.ndarray:
    """A small picture by whole pixels as large as its tile, so that the map over it is not as coarse as it is."""
    times = max(1, TILE // max(picture.shape[:2]))
    return picture.repeat(times, 0).repeat(times, 1)


def _sheets(
    method: str, title: str, badge: str, tiles: list[np.ndarray], labels: list[str], names: list[str]
) -> list[tuple[str, Any, str]]:
    """Picture and map side by side, SHEET_PICTURES pictures a sheet."""
    sheets = []
    for start in range(0, len(names), SHEET_PICTURES):
        part = slice(2 * start, 2 * (start + SHEET_PICTURES))
        columns = 2 if len(names) - start < 3 else 4
        sheet = contact_sheet(tiles[part], labels=labels[part], columns=columns, tile=TILE, title=f"{title} · {badge}")
        number = f"-{start // SHEET_PICTURES + 1}" if len(names) > SHEET_PICTURES else ""
        sheets.append((f"{method}-{_slug(names[start])}{number}", sheet, f"{title}: {labels[2 * start + 1]}"))
    return sheets


def _check(run: Run, arrays: list[np.ndarray], target: int | None, method: str, layer: str | None) -> SanityCheck:
    images = run.preprocess(arrays[:SANITY_PICTURES])
    return explanation.randomisation_check(run.model, images, target, method=method, layer=layer)


def _feature_maps(
    run: Run, arrays: list[np.ndarray], names: list[str], unreadable: tuple[str, ...], layer: str | None, folder: Path
) -> ExplainResult:
    sheets = []
    for array, name in zip(arrays, names, strict=True):
        sheet = explanation.feature_maps_picture(run.model, run.preprocess([array]), layer)
        sheets.append((f"feature_maps-{_slug(name)}", sheet, f"Feature maps of {layer or 'the last layer'}: {name}"))
    return _written(run, "feature_maps", layer, folder, sheets, (), unreadable)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", Path(name).stem).strip("-").lower() or "picture"


def _written(
    run: Run,
    method: str,
    layer: str | None,
    folder: Path,
    sheets: list[tuple[str, Any, str]],
    explained: tuple[Explained, ...] = (),
    unreadable: tuple[str, ...] = (),
    check: SanityCheck | None = None,
) -> ExplainResult:
    with guard(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, sheet, caption in sheets:
        file = folder / f"{name}.png"
        write_bytes(file, png_bytes(sheet))
        facts: dict[str, Any] = {"file": file.name, "caption": caption, "method": method}
        facts |= {"badge": check.badge, "reason": check.reason} if check else {"badge": None}
        write_json(file.with_suffix(".json"), facts)
        files.append(file)
    return ExplainResult(run.path, method, layer, tuple(files), explained, unreadable, check, write_report(run))
