"""Pictures of the network itself: its filters, its feature maps, and what excites a unit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from convlens import explanation
from convlens.errors import UsageError, counted, unknown_name
from convlens.pictures import contact_sheet
from convlens.runs import Run
from convlens.workbench.drawn_files import Sheet, slug
from convlens.workbench.layer_sweep import runs_of
from convlens.workbench.map_sheets import Seen
from convlens.workbench.results import Progress

MOST_CLASSES = 30  # that are drawn where no class is named
TILE = 160
OPTIONS = ("steps", "rate", "seed", *explanation.REGULARISERS)


def filter_sheets(run: Run, layer: str | None) -> list[Sheet]:
    sheet = explanation.filters_picture(run.model, layer)
    caption = f"Filters of {layer or explanation.filters(run.model).layer}"
    return [Sheet("filters", sheet, caption, "filters")]


def feature_map_sheets(run: Run, seen: list[Seen], layer: str | None, unit: int | None) -> list[Sheet]:
    sheets = []
    for one in seen:
        sheet = explanation.feature_maps_picture(run.model, run.preprocess([one.pixels]), layer)
        caption = _with_runs(f"Feature maps of {layer}: {one.name}", run, layer)
        sheets.append(Sheet(f"feature_maps-{slug(one.name)}", sheet, caption, "feature_maps"))
    return sheets


def maximised_sheets(
    run: Run,
    target: int | None,
    layer: str | None,
    unit: int | None,
    options: Mapping[str, Any],
    progress: Progress | None,
) -> list[Sheet]:
    """The picture of each class, of the first MOST_CLASSES where there are more, or of the one that is named, or of a
    channel of a layer.
    """
    if unknown := [name for name in options if name not in OPTIONS]:
        raise unknown_name("option of maximise", unknown[0], OPTIONS, f"there are {', '.join(OPTIONS)}")
    if (layer is None) != (unit is None) or (layer is not None and target is not None):
        raise UsageError("maximise takes a class (--target), or a layer and one of its channels (--layer, --unit)")
    every = range(min(len(run.classes), MOST_CLASSES)) if target is None else [target]
    units = list(every) if unit is None else [unit]
    told = f"{len(units)} of {len(run.classes):,} classes" if 1 < len(units) < len(run.classes) else ""
    prepare = run.preprocess
    found = explanation.maximise(
        run.model,
        units,
        (prepare.channels, *prepare.size),
        layer=layer,
        mean=prepare.mean,
        std=prepare.std,
        progress=None if progress is None else lambda done, total: progress("maximise", done, total, told),
        **options,
    )
    names = [run.classes[number] for number in units] if layer is None else [f"{layer}, channel {unit}"]
    captions = names if layer is None else [f"channel {unit}"]  # the layer stands in the title
    grown = zip(captions, found.before, found.values, strict=True)
    labels = [f"{name}\n{before:.3g} → {after:.3g}" for name, before, after in grown]
    pictures = [one if one.shape[2] == 3 else one[..., 0] for one in found.pictures]
    what = _classes_told(run, len(units)) if target is None and unit is None else names[0]
    caption = _with_runs(f"What excites {what} most", run, layer)
    title = _with_runs(f"What excites {what} most, grown from noise", run, layer)
    sheet = contact_sheet(pictures, labels=labels, tile=TILE, title=title)
    stem = "classes" if len(units) > 1 else slug(names[0].replace(".", "-"))
    return [Sheet(f"maximise-{stem}", sheet, caption, "maximise")]


def _with_runs(text: str, run: Run, layer: str | None) -> str:
    told = runs_of(run, layer)
    return f"{text}; {told}" if told else text


def _classes_told(run: Run, drawn: int) -> str:
    """ "the first 30 of 1,000 classes", or all of them."""
    if drawn == len(run.classes):
        return "each class"
    return f"the first {drawn} of {counted(len(run.classes), 'class', 'classes')} (--target names any other)"


def exciting_sheets(run: Run, seen: list[Seen], layer: str | None, unit: int | None) -> list[Sheet]:
    """Of these pictures the ones that excite a channel most, and what of them the unit saw."""
    if layer is None or unit is None:
        raise UsageError(
            "exciting needs a layer and one of its channels: --layer, as `convlens measure` lists them, --unit"
        )
    batches = (run.preprocess([one.pixels for one in seen[at : at + 32]]) for at in range(0, len(seen), 32))
    found = explanation.exciting(run.model, batches, layer, [unit])[unit]
    tiles, labels = [], []
    for one in found:
        pixels = run.preprocess.pixels(seen[one.index].pixels)  # as the network sees it
        picture = np.ascontiguousarray(pixels.transpose(1, 2, 0))
        picture = picture if picture.shape[2] == 3 else picture[..., 0]
        tiles.append(picture)
        labels.append(f"{Path(seen[one.index].name).name}\n{one.value:.3g}")
        if one.window is not None:
            (top, bottom), (left, right) = one.window
            tiles.append(np.ascontiguousarray(picture[top : bottom + 1, left : right + 1]))
            labels.append(f"what it saw\n{bottom + 1 - top}x{right + 1 - left} px")
    columns = 6 if len(tiles) > len(found) else 3
    title = _with_runs(f"What excites {layer}, channel {unit} most, of {counted(len(seen), 'picture')}", run, layer)
    sheet = contact_sheet(tiles, labels=labels, columns=columns, tile=TILE, title=title)
    return [Sheet(f"exciting-{slug(layer.replace('.', '-'))}-{unit}", sheet, title, "exciting")]
