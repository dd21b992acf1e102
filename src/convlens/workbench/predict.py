"""`convlens predict`: classes and calibrated probabilities of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convlens.data import list_pictures
from convlens.errors import PictureError, UsageError
from convlens.measurement import probabilities
from convlens.pictures import decode
from convlens.runs import Run
from convlens.workbench.inference import read_logits
from convlens.workbench.results import Progress

Picture = str | Path | np.ndarray


@dataclass(frozen=True)
class Prediction:
    """`top` holds (class, probability), the likeliest first; probabilities are calibrated by the run's temperature."""

    picture: str
    label: str
    probability: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Unreadable:
    picture: str
    reason: str


@dataclass(frozen=True)
class PredictResult:
    run: Path
    predictions: tuple[Prediction, ...]
    unreadable: tuple[Unreadable, ...]


def predict(
    run: Run | str | Path,
    pictures: Picture | Sequence[Picture],
    *,
    top: int = 5,
    progress: Progress | None = None,
) -> PredictResult:
    """Classify pictures: files, folders, globs, or decoded uint8 arrays (H, W) or (H, W, 3).

    A picture that cannot be read is listed with its reason, never guessed at. Raises UsageError when there is none.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    if top < 1:
        raise UsageError(f"--top came as {top}; expected 1 or more classes")
    named = name_pictures(pictures)
    predictions, unreadable = [], []
    for place, item in read_logits(run, [read for _, read in named], progress=progress):
        name = named[place][0]
        if isinstance(item, PictureError):
            unreadable.append(Unreadable(name, item.reason))
            continue
        shares = probabilities(item[None], run.temperature)[0]
        best = shares.topk(min(top, len(run.classes)))
        ranked = [(run.classes[i], float(p)) for p, i in zip(best.values, best.indices.tolist(), strict=True)]
        predictions.append(Prediction(name, ranked[0][0], ranked[0][1], tuple(ranked)))
    return PredictResult(run.path, tuple(predictions), tuple(unreadable))


def name_pictures(pictures: Picture | Sequence[Picture]) -> list[tuple[str, Callable[[int], np.ndarray]]]:
    """-> (name, read(short_side)) for each picture, folders and globs opened."""
    if isinstance(pictures, str | Path | np.ndarray):
        pictures = [pictures]
    named: list[tuple[str, Callable[[int], np.ndarray]]] = []
    for number, picture in enumerate(pictures):
        if isinstance(picture, np.ndarray):
            named.append((f"picture {number}", lambda _, array=picture: array))  # type: ignore[misc]
            continue
        for path in list_pictures(picture):
            named.append((str(path), lambda side, path=path: decode(path, short_side=side)))  # type: ignore[misc]
    if not named:
        raise UsageError("no pictures were given; give files, folders or globs")
    return named
