"""Thumbnails of a run as pictures to try: those an evaluation judged, with their classes, else any that are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convlens.errors import ConvlensError, PictureError
from convlens.pictures import decode
from convlens.runs import Run
from convlens.server.kept import id_of

MOST_SAMPLES = 24
SMALL = 64  # px: a network that reads so little, in grey, may read a drawn digit


@dataclass(frozen=True)
class Sample:
    id: str
    file: Path
    label: str | None


def thumbnails_of(run: Run) -> dict[str, Path]:
    """Name -> file, of all that are there; nothing where there is no folder. A link to elsewhere is none of them."""
    folder = run.path.resolve() / run.folder.thumbnails.name
    if not folder.is_dir() or folder.is_symlink():
        return {}
    files = (file for file in sorted(folder.iterdir()) if file.suffix == ".jpg")
    return {file.name: file for file in files if file.is_file() and not file.is_symlink()}


def samples_of(run: Run) -> tuple[Sample, ...]:
    """As many of each class as of any other, recognised ones before mistakes."""
    there = thumbnails_of(run)
    judged = _judged(run) if there else {}
    found = [(name, label) for name, label in judged.items() if name in there]
    found += [(name, None) for name in there if name not in judged]
    turns: dict[str | None, int] = {}
    ranked = []
    for place, (name, label) in enumerate(found):
        turns[label] = turns.get(label, 0) + 1
        ranked.append((label is None, turns[label], place, name, label))
    chosen = [(name, label) for _, _, _, name, label in sorted(ranked, key=lambda one: one[:3])[:MOST_SAMPLES]]
    return tuple(Sample(id_of(there[name].read_bytes()), there[name], label) for name, label in chosen)


def _judged(run: Run) -> dict[str, str | None]:
    """Thumbnail's name -> class, as evaluations listed them."""
    try:
        evaluations = run.evaluations.values()
    except ConvlensError:
        return {}
    rows: list[dict[str, Any]] = [row for one in evaluations for row in one.get("recognised") or ()]
    rows += [row for one in evaluations for row in one.get("errors") or ()]
    named: dict[str, str | None] = {}
    for row in rows:
        if row.get("thumbnail"):
            named.setdefault(Path(row["thumbnail"]).name, row.get("truth"))
    return named


def ink_of(run: Run, samples: tuple[Sample, ...]) -> str:
    """ "light" where strokes are brighter than the ground, which is what the edges of the pictures show."""
    edges = []
    for sample in samples:
        try:
            grey = _grey(decode(sample.file))
        except PictureError:
            continue
        edges.append(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    ground = float(np.median(np.concatenate(edges))) / 255 if edges else float(np.mean(run.preprocess.mean))
    return "light" if ground < 0.5 else "dark"


def _grey(picture: np.ndarray) -> np.ndarray:
    return picture if picture.ndim == 2 else picture.mean(axis=2)


def takes_drawings(run: Run) -> bool:
    """Grey and small: a pad to draw on makes sense."""
    return run.preprocess.channels == 1 and max(run.preprocess.size) <= SMALL
