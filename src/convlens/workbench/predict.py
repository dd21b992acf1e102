"""`convlens predict`: classes and calibrated probabilities of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from convlens.data import list_pictures
from convlens.engines import PLAIN
from convlens.errors import PictureError, UsageError
from convlens.measurement import probabilities
from convlens.pictures import decode
from convlens.runs import Run
from convlens.workbench.inference import read_logits
from convlens.workbench.own_network import open_run
from convlens.workbench.process import process_kept
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.running import running
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
    """`engine` is what answered: "plain", or the settings of an engine."""

    run: Path
    predictions: tuple[Prediction, ...]
    unreadable: tuple[Unreadable, ...]
    engine: str = PLAIN


@typed
@process_kept()
def predict(
    run: Run | str | Path,
    pictures: Picture | Sequence[Picture],
    *,
    top: int = 5,
    engine: str = PLAIN,
    network: str | None = None,
    progress: Progress | None = None,
    tell: Tell = silent,
) -> PredictResult:
    """Classify pictures: files, folders, globs, or decoded uint8 arrays (H, W) or (H, W, 3).

    A picture that cannot be read, or is not there, is listed with its reason, never guessed at. `engine` is "plain",
    the network as it was trained, "torch", "onnxruntime" or "openvino", or "auto", the fastest that agrees. `network`
    (file.py:Class) goes with a run of your own network. Raises UsageError when there is no picture at all.
    """
    run = open_run(run, network)
    if top < 1:
        raise UsageError(f"--top came as {top}; expected 1 or more classes")
    named = name_pictures(pictures)
    reads = [read for _, read in named]
    predictions, unreadable = [], []
    with running(run, engine, reads, tell=tell) as ran:
        for place, item in read_logits(run, reads, by=ran, progress=progress):
            name = named[place][0]
            if isinstance(item, PictureError):
                unreadable.append(Unreadable(name, item.reason))
            else:
                predictions.append(_prediction(run, name, item, top))
    return PredictResult(run.path, tuple(predictions), tuple(unreadable), ran.words)


def _prediction(run: Run, name: str, logits: Tensor, top: int) -> Prediction:
    shares = probabilities(logits[None], run.temperature)[0]
    best = shares.topk(min(top, len(run.classes)))
    ranked = [(run.classes[i], float(p)) for p, i in zip(best.values, best.indices.tolist(), strict=True)]
    return Prediction(name, ranked[0][0], ranked[0][1], tuple(ranked))


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
