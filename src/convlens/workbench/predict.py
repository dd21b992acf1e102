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
from convlens.workbench.own_network import open_run
from convlens.workbench.results import Progress
from convlens.workbench.typed import typed

Picture = str | Path | np.ndarray
Read = Callable[[int], np.ndarray]  # of the short side that suffices


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


@typed
def predict(
    run: Run | str | Path,
    pictures: Picture | Sequence[Picture],
    *,
    top: int = 5,
    network: str | None = None,
    progress: Progress | None = None,
) -> PredictResult:
    """Classify pictures: files, folders, globs, or decoded uint8 arrays (H, W) or (H, W, 3).

    A picture that cannot be read, or is not there, is listed with its reason, never guessed at. `network`
    (file.py:Class) goes with a run of your own network. Raises UsageError when there is no picture at all.
    """
    run = open_run(run, network)
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


def name_pictures(pictures: Picture | Sequence[Picture]) -> list[tuple[str, Read]]:
    """-> (name, read(short_side)) for each picture, folders and globs opened.

    What leads to no picture is kept, and raises PictureError when it is read, beside others that are there.
    """
    if isinstance(pictures, str | Path | np.ndarray):
        pictures = [pictures]
    named: list[tuple[str, Read]] = []
    absent: list[UsageError] = []
    for number, picture in enumerate(pictures):
        if isinstance(picture, np.ndarray):
            named.append((f"picture {number}", _reader_of_array(picture)))
            continue
        try:
            named += [(str(path), _reader_of_file(path)) for path in list_pictures(picture)]
        except UsageError as error:
            absent.append(error)
            named.append((str(picture), _reader_of_nothing(picture)))
    if len(named) == len(absent):
        raise absent[0] if absent else UsageError("no pictures were given; give files, folders or globs")
    return named


def _reader_of_array(array: np.ndarray) -> Read:
    return lambda _: array


def _reader_of_file(path: Path) -> Read:
    return lambda side: decode(path, short_side=side)


def _reader_of_nothing(where: str | Path) -> Read:
    def read(_: int) -> np.ndarray:
        raise PictureError(where, "there is no such picture")

    return read
