"""`convlens explain`: why a run says what it says, as pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from convlens import explanation
from convlens.errors import PictureError, UsageError, unknown_name
from convlens.explanation import METHODS, SanityCheck
from convlens.measurement import probabilities
from convlens.pictures import contact_sheet, enlarged, overlay, png_bytes
from convlens.reports import write_report
from convlens.runs import Run
from convlens.storage import guard, write_bytes, write_json
from convlens.workbench.inference import read_logits
from convlens.workbench.predict import Picture, name_pictures
from convlens.workbench.results import Progress

INSIDES = ("filters", "feature_maps")  # pictures of the network itself
SANITY_PICTURES = 4  # maps that the randomisation check compares
SHEET_PICTURES = 24  # on one sheet
TILE = 192
Sheet = tuple[str, Any, str]  # name, picture, caption


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
    asked = _Asked(run, name, target, layer, Path(out) if out is not None else run.folder.explanations)
    if name == "filters":
        sheet = explanation.filters_picture(run.model, layer)
        caption = f"Filters of {layer or explanation.filters(run.model).layer}"
        return _written(asked, [("filters", sheet, caption)])
    seen, unreadable = _decoded(run, pictures)
    if name == "feature_maps":
        return _written(asked, _feature_maps(asked, seen), unreadable=unreadable)
    return _maps(asked, seen, unreadable, sanity, progress)


@dataclass(frozen=True)
class _Asked:
    """What is to be drawn, and where the drawings go."""

    run: Run
    method: str
    target: str | int | None
    layer: str | None
    folder: Path


@dataclass(frozen=True)
class _Seen:
    """One picture twice: `pixels` as every verb decodes it for the network, `shown` larger, to draw a map over."""

    name: str
    pixels: np.ndarray
    shown: np.ndarray


@dataclass(frozen=True)
class _Tile:
    """What a sheet shows of one picture."""

    picture: np.ndarray
    overlaid: np.ndarray
    said: Explained


def _decoded(run: Run, pictures: Picture | Sequence[Picture]) -> tuple[list[_Seen], tuple[str, ...]]:
    seen, unreadable = [], []
    for name, read in name_pictures(pictures):
        try:
            seen.append(_Seen(name, read(run.preprocess.decode_side), read(max(512, 2 * max(run.preprocess.size)))))
        except PictureError as error:
            unreadable.append(str(error))
    if not seen:
        raise UsageError(f"none of the pictures can be read: {'; '.join(unreadable[:3])}")
    return seen, tuple(unreadable)


def class_number(run: Run, target: str | int | None) -> int | None:
    """A class by name, or by number where no class is called so."""
    if target is None or target in run.classes:
        return None if target is None else run.classes.index(str(target))
    if str(target).isdigit() and int(target) < len(run.classes):
        return int(target)
    raise unknown_name("class", str(target), run.classes, f"the run knows {', '.join(run.classes[:12])}")


def _maps(
    asked: _Asked, seen: list[_Seen], unreadable: tuple[str, ...], sanity: bool, progress: Progress | None
) -> ExplainResult:
    wanted = class_number(asked.run, asked.target)
    check = _check(asked, seen, wanted) if sanity else None
    tiles: list[_Tile] = []
    for place, (one, shares) in enumerate(zip(seen, _shares(asked.run, seen), strict=True), 1):
        tile, layer = _tile(asked, one, wanted, shares)
        tiles.append(tile)
        if progress:
            progress("explain", place, len(seen), "")
    title = f"{METHODS[asked.method].title}" + (f" at {layer}" if layer else "")
    badge = f"sanity check {check.badge}" if check else "sanity check not run"
    sheets = _sheets(asked.method, title, badge, tiles)
    return _written(
        replace(asked, layer=layer), sheets, tuple(tile.said for tile in tiles), unreadable=unreadable, check=check
    )


def _shares(run: Run, seen: list[_Seen]) -> list[torch.Tensor]:
    """(K,) calibrated probabilities of each picture, computed as `predict` does."""
    reads = [lambda _, one=one: one.pixels for one in seen]
    rows = [item for _, item in read_logits(run, reads) if isinstance(item, torch.Tensor)]
    return list(probabilities(torch.stack(rows), run.temperature))


def _tile(asked: _Asked, one: _Seen, wanted: int | None, shares: torch.Tensor) -> tuple[_Tile, str | None]:
    """-> (the picture and its map, the layer that was looked at)."""
    run = asked.run
    number = int(shares.argmax()) if wanted is None else wanted
    found = explanation.explain(run.model, run.preprocess([one.pixels]), number, method=asked.method, layer=asked.layer)
    shown = enlarged(one.shown, TILE)
    heat = run.preprocess.place(found.heat()[0], shown.shape[:2])
    said = Explained(one.name, run.classes[number], float(shares[number]), found.note)
    return _Tile(shown, overlay(shown, heat), said), found.layer


def _sheets(method: str, title: str, badge: str, tiles: list[_Tile]) -> list[Sheet]:
    """Picture and map side by side, SHEET_PICTURES pictures a sheet."""
    sheets = []
    for start in range(0, len(tiles), SHEET_PICTURES):
        part = tiles[start : start + SHEET_PICTURES]
        said = [f"{tile.said.target} {tile.said.probability:.1%}" for tile in part]
        sheet = contact_sheet(
            [picture for tile in part for picture in (tile.picture, tile.overlaid)],
            labels=[text for tile, words in zip(part, said, strict=True) for text in (_file_name(tile), words)],
            columns=2 if len(part) < 3 else 4,
            tile=TILE,
            title=f"{title} · {badge}",
        )
        number = f"-{start // SHEET_PICTURES + 1}" if len(tiles) > SHEET_PICTURES else ""
        sheets.append((f"{method}-{_slug(part[0].said.picture)}{number}", sheet, f"{title}: {said[0]}"))
    return sheets


def _file_name(tile: _Tile) -> str:
    return Path(tile.said.picture).name


def _check(asked: _Asked, seen: list[_Seen], target: int | None) -> SanityCheck:
    images = asked.run.preprocess([one.pixels for one in seen[:SANITY_PICTURES]])
    return explanation.randomisation_check(asked.run.model, images, target, method=asked.method, layer=asked.layer)


def _feature_maps(asked: _Asked, seen: list[_Seen]) -> list[Sheet]:
    sheets = []
    for one in seen:
        images = asked.run.preprocess([one.pixels])
        sheet = explanation.feature_maps_picture(asked.run.model, images, asked.layer)
        caption = f"Feature maps of {asked.layer or 'the last layer'}: {one.name}"
        sheets.append((f"feature_maps-{_slug(one.name)}", sheet, caption))
    return sheets


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", Path(name).stem).strip("-").lower() or "picture"


def _written(
    asked: _Asked,
    sheets: list[Sheet],
    explained: tuple[Explained, ...] = (),
    *,
    unreadable: tuple[str, ...] = (),
    check: SanityCheck | None = None,
) -> ExplainResult:
    with guard(asked.folder):
        asked.folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, sheet, caption in sheets:
        file = asked.folder / f"{name}.png"
        write_bytes(file, png_bytes(sheet))
        facts: dict[str, Any] = {"file": file.name, "caption": caption, "method": asked.method}
        facts |= {"badge": check.badge, "reason": check.reason} if check else {"badge": None}
        write_json(file.with_suffix(".json"), facts)
        files.append(file)
    report = write_report(asked.run)
    return ExplainResult(asked.run.path, asked.method, asked.layer, tuple(files), explained, unreadable, check, report)
