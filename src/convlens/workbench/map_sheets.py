"""Maps over pictures: of one method beside each picture, of several side by side, of one at every layer in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from convlens import explanation
from convlens.errors import ExplanationError
from convlens.explanation import METHODS, Explanation, SanityCheck, num_maps
from convlens.measurement import probabilities
from convlens.pictures import contact_sheet, enlarged, overlay
from convlens.reports import MapFigure, Picture, likelihood
from convlens.runs import Run
from convlens.workbench.drawn_files import Sheet, slug, unique
from convlens.workbench.inference import read_logits
from convlens.workbench.layer_sweep import layers_of
from convlens.workbench.results import Progress

SANITY_PICTURES = 4  # maps that the sanity check compares
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
class Seen:
    """One picture twice: `pixels` as every verb decodes it for the network, `shown` larger, to draw a map over."""

    name: str
    pixels: np.ndarray
    shown: np.ndarray


@dataclass(frozen=True)
class Asked:
    """What is to be drawn of `run`; `target` is a class number."""

    run: Run
    methods: tuple[str, ...]
    target: int | None
    layer: str | None
    options: Mapping[str, Any]
    sanity: bool
    shuffled: Run | None
    sweep: bool
    progress: Progress | None

    def of(self, method: str) -> dict[str, Any]:
        """The options and the layer of one method."""
        own = {name: value for name, value in self.options.items() if name in METHODS[method].options}
        return {"method": method, "layer": self.layer if METHODS[method].uses_layer else None, **own}

    def map_of(self, one: Seen, target: int, method: str, **given: Any) -> Explanation:
        images = self.run.preprocess([one.pixels])
        return explanation.explain(self.run.model, images, target, **(self.of(method) | given))


@dataclass(frozen=True)
class Drawn:
    """`arrays` are maps, and attributions where there are any, by the name of their file."""

    sheets: list[Sheet]
    said: tuple[Explained, ...]
    checks: tuple[SanityCheck, ...]
    refused: tuple[str, ...]
    arrays: dict[str, np.ndarray]
    layer: str | None


@dataclass(frozen=True)
class _Row:
    """A picture and what every method said of it, by method."""

    asked: Asked
    seen: Seen
    target: int
    probability: float
    found: dict[str, Explanation]

    @cached_property
    def shown(self) -> np.ndarray:
        return enlarged(self.seen.shown, TILE)

    def overlaid(self, found: Explanation) -> np.ndarray:
        heat = self.asked.run.preprocess.place(found.heat()[0], self.shown.shape[:2])
        return overlay(self.shown, heat, signed=found.signed)

    @property
    def said(self) -> Explained:
        notes = "; ".join(found.note for found in self.found.values() if found.note)
        return Explained(self.seen.name, self.asked.run.classes[self.target], self.probability, notes)


def draw_maps(asked: Asked, seen: list[Seen]) -> Drawn:
    """Maps of every method that is defined for this network; ExplanationError where none is."""
    classes = _classes(asked, seen)
    checks, usable, refused = _checks(asked, seen, classes)
    rows = []
    for place, (one, (target, share)) in enumerate(zip(seen, classes, strict=True), 1):
        rows.append(_Row(asked, one, target, share, {name: asked.map_of(one, target, name) for name in usable}))
        if asked.progress:
            asked.progress("explain", place, len(seen), "")
    layers = [found.layer for found in rows[0].found.values() if found.layer]
    sheets = _sheets(rows, {check.method: check for check in checks})
    if asked.sweep:
        sheets += [_sweep(row, usable[0]) for row in rows]
    said = tuple(row.said for row in rows)
    return Drawn(sheets, said, checks, refused, _arrays(rows), layers[-1] if layers else None)


def _classes(asked: Asked, seen: list[Seen]) -> list[tuple[int, float]]:
    """(the class to explain, its calibrated probability) of each picture, computed as `predict` does."""
    reads = [lambda _, one=one: one.pixels for one in seen]
    logits = [item for _, item in read_logits(asked.run, reads) if isinstance(item, torch.Tensor)]
    shares = probabilities(torch.stack(logits), asked.run.temperature)
    numbers = [int(row.argmax()) if asked.target is None else asked.target for row in shares]
    return [(number, float(row[number])) for number, row in zip(numbers, shares, strict=True)]


def _checks(
    asked: Asked, seen: list[Seen], classes: list[tuple[int, float]]
) -> tuple[tuple[SanityCheck, ...], tuple[str, ...], tuple[str, ...]]:
    """-> (one check a method, the methods that are defined here, why the others are not)."""
    some = seen[:SANITY_PICTURES]
    targets = [target for target, _ in classes[: len(some)]]
    images = asked.run.preprocess([one.pixels for one in some])
    checks, usable, refused = [], [], []
    shuffled = None if asked.shuffled is None else asked.shuffled.model
    for place, name in enumerate(asked.methods, 1):
        if asked.progress and asked.sanity:
            told = f"{name}: {num_maps(len(some))} maps, which --no-sanity leaves out"
            asked.progress("check", place - 1, len(asked.methods), told)
        try:
            if asked.sanity:
                checks.append(
                    explanation.sanity_check(asked.run.model, images, targets, shuffled=shuffled, **asked.of(name))
                )
            elif len(asked.methods) > 1:
                asked.map_of(some[0], targets[0], name)
        except ExplanationError as error:
            if len(asked.methods) == 1:
                raise
            refused.append(f"{name}: {error}")
        else:
            usable.append(name)
        if asked.progress and asked.sanity:
            asked.progress("check", place, len(asked.methods), name)
    if not usable:
        raise ExplanationError("none of these methods is defined for this network: " + "; ".join(refused))
    return tuple(checks), tuple(usable), tuple(refused)


def _sheets(rows: list[_Row], checks: Mapping[str, SanityCheck]) -> list[Sheet]:
    """SHEET_PICTURES pictures a sheet, each with its maps beside it."""
    sheets = []
    methods = tuple(rows[0].found)
    for start in range(0, len(rows), SHEET_PICTURES):
        part = rows[start : start + SHEET_PICTURES]
        number = f"-{start // SHEET_PICTURES + 1}" if len(rows) > SHEET_PICTURES else ""
        what = methods[0] if len(methods) == 1 else "methods"
        title = _title(part[0].found, checks)
        tiles = [picture for row in part for picture in (row.shown, *map(row.overlaid, row.found.values()))]
        labels = [text for row in part for text in _labels(row, checks)]
        sheet = contact_sheet(tiles, labels=labels, columns=_columns(len(methods), len(part)), tile=TILE, title=title)
        caption = f"{', '.join(METHODS[name].title for name in methods)}: {part[0].said.target} "
        caption += likelihood(part[0].probability)
        figures = tuple(_figure(row, checks) for row in part)
        name = f"{what}-{slug(part[0].seen.name)}{number}"
        sheets.append(Sheet(name, sheet, caption, what, tuple(checks.values()), figures))
    return sheets


def _columns(num_methods: int, num_pictures: int) -> int:
    if num_methods > 1:
        return 1 + num_methods
    return 2 if num_pictures < 3 else 4


def _title(found: Mapping[str, Explanation], checks: Mapping[str, SanityCheck]) -> str:
    if len(found) > 1:
        return "Methods side by side"
    ((name, one),) = found.items()
    badge = "sanity check not run"
    if name in checks:
        of = checks[name].num_pictures
        badge = f"sanity check {checks[name].badge}, of {of} picture{'s' if of > 1 else ''}"
    return METHODS[name].title + (f" at {one.layer}" if one.layer else "") + f" · {badge}"


def _labels(row: _Row, checks: Mapping[str, SanityCheck]) -> list[str]:
    """The file below the picture, below each map the method and its badge; of one method, the class."""
    said = f"{row.said.target} {likelihood(row.probability)}"
    file = Path(row.seen.name).name
    if len(row.found) == 1:
        return [file, said]
    badges = [f"{METHODS[name].title}\n{checks[name].badge if name in checks else ''}".strip() for name in row.found]
    return [f"{file}\n{said}", *badges]


def _figure(row: _Row, checks: Mapping[str, SanityCheck]) -> MapFigure:
    """For the page and the SVG: the picture once, and the maps over it."""
    maps = tuple(
        Picture(
            METHODS[name].title + (f" at {found.layer}" if found.layer else ""),
            row.overlaid(found),
            found.sign,
            checks[name].to_dict() if name in checks else None,
        )
        for name, found in row.found.items()
    )
    return MapFigure(Path(row.seen.name).name, row.shown, row.said.target, row.probability, maps)


def _sweep(row: _Row, method: str) -> Sheet:
    """One frame a layer, from the first to the last, each with its name and how many are gone over."""
    frames = []
    layers, share = layers_of(row.asked.run, row.seen.pixels)
    for layer in layers:
        found = row.asked.map_of(row.seen, row.target, method, layer=layer)
        frames.append(contact_sheet([row.overlaid(found)], labels=[f"{layer}\n{share}"], columns=1, tile=2 * TILE))
    caption = f"{METHODS[method].title} of {row.said.target} at {share}, in turn: {Path(row.seen.name).name}"
    return Sheet(f"sweep-{method}-{slug(row.seen.name)}", frames[0], caption, method, (), (), tuple(frames))


def _arrays(rows: list[_Row]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for row, picture in zip(rows, unique([slug(row.seen.name) for row in rows]), strict=True):
        for name, found in row.found.items():
            stem = f"{name}-{picture}"
            arrays[stem] = found.maps[0]
            if found.attributions is not None:
                arrays[f"{stem}-attributions"] = found.attributions[0]
    return arrays
