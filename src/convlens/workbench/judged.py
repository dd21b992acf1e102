"""Pictures behind the cells of a confusion matrix: errors, and some that were recognised; thumbnails in the run."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from convlens.errors import ExplanationError
from convlens.explanation import explain
from convlens.measurement import probabilities
from convlens.pictures import enlarged, overlay, thumbnail
from convlens.storage import guard, write_bytes
from convlens.workbench.recognise import Candidates

MAX_ERRORS = 2000  # listed by an evaluation; all are counted
MAX_THUMBNAILS, MAX_OF_ONE = 2000, 1000  # in a run, over all evaluations, and for one of them
MAX_RECOGNISED, OF_A_CLASS = 600, 6  # listed by an evaluation: in all, and of each class
MAX_OVERLAYS = 24  # of an evaluation: the most confident errors, with a map of what speaks for the wrong class
SIDE = 96  # pixels of a thumbnail


@dataclass(frozen=True)
class JudgedPicture:
    """A picture, what it is and what it was taken for, with how sure the network was.

    `thumbnail` is a file of the run, and `overlay` one of the same picture under its Grad-CAM map of the wrong class.
    """

    key: str
    truth: str
    predicted: str
    confidence: float
    thumbnail: str | None
    overlay: str | None = None


@dataclass(frozen=True)
class Judged:
    """The listed errors of `num_errors`, the most confident first, and of each class the recognised that are listed."""

    num_errors: int
    errors: tuple[JudgedPicture, ...]
    recognised: tuple[JudgedPicture, ...]


def judge(given: Candidates, kept: np.ndarray, logits: torch.Tensor) -> Judged:
    """`logits` (N, K) of the N pictures whose indices are `kept`."""
    likeliest = probabilities(logits, given.run.temperature).max(dim=1)
    confidence, predicted = likeliest.values.numpy(), likeliest.indices.numpy()
    truth, num_classes = given.labels[kept], len(given.run.classes)
    wrong = np.flatnonzero(predicted != truth)
    shown = _surest_of_each_pair(wrong, truth * num_classes + predicted, confidence)
    examples = _examples(np.flatnonzero(predicted == truth), truth, confidence, num_classes)
    listed = _listed(given, kept, np.concatenate([examples, shown]), predicted, confidence)
    recognised, errors = listed[: len(examples)], listed[len(examples) :]
    places, classes = kept[shown][:MAX_OVERLAYS].tolist(), predicted[shown][:MAX_OVERLAYS].tolist()
    maps = _keep_overlays(given, places, classes)
    explained = [replace(one, overlay=file) for one, file in zip(errors, maps, strict=False)]
    return Judged(len(wrong), (*explained, *errors[len(explained) :]), tuple(recognised))


def _surest_of_each_pair(wrong: np.ndarray, pairs: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """The most confident rows of `wrong`, among them one of each pair of classes."""
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")]
    _, first = np.unique(pairs[surest], return_index=True)
    chosen = np.concatenate([np.sort(first), np.delete(np.arange(len(surest)), first)])[:MAX_ERRORS]
    return surest[np.sort(chosen)]


def _examples(right: np.ndarray, truth: np.ndarray, confidence: np.ndarray, num_classes: int) -> np.ndarray:
    """Of each class the surest rows of `right` and the least sure, as many of one as of the other, surest first."""
    half = min(OF_A_CLASS, MAX_RECOGNISED // num_classes) // 2
    chosen = []
    for number in range(num_classes):
        rows = right[truth[right] == number]
        rows = rows[np.argsort(-confidence[rows], kind="stable")]
        chosen.append(rows if len(rows) <= 2 * half else np.concatenate([rows[:half], rows[len(rows) - half :]]))
    return np.concatenate(chosen) if half else right[:0]


def _listed(
    given: Candidates, kept: np.ndarray, rows: np.ndarray, predicted: np.ndarray, confidence: np.ndarray
) -> list[JudgedPicture]:
    names, thumbnails = given.run.classes, _keep_thumbnails(given, kept[rows].tolist())
    return [
        JudgedPicture(
            given.images.reader.key(int(kept[row])),
            names[given.labels[kept[row]]],
            names[predicted[row]],
            round(float(confidence[row]), 4),
            small,
        )
        for row, small in zip(rows, thumbnails, strict=True)
    ]


def _keep_thumbnails(given: Candidates, indices: list[int]) -> list[str | None]:
    """A small JPEG in the run for each picture, the first ones first, until it is full; none where it keeps none."""
    folder = given.run.folder.thumbnails
    if not given.run.manifest.keep_pictures or not indices:
        return [None] * len(indices)
    with guard(folder, option=None):
        folder.mkdir(exist_ok=True)
    there = {file.name for file in folder.iterdir()}
    names = [f"{given.scan.hashes[index]}.jpg" for index in indices]
    for index, name in list(zip(indices, names, strict=True))[:MAX_OF_ONE]:
        if name not in there and len(there) < MAX_THUMBNAILS:
            write_bytes(
                folder / name, thumbnail(given.images.reader.read(index, short_side=2 * SIDE), SIDE), option=None
            )
            there.add(name)
    return [f"{folder.name}/{name}" if name in there else None for name in names]


def _keep_overlays(given: Candidates, indices: list[int], classes: list[int]) -> list[str | None]:
    """A small JPEG in the run for each picture, under what speaks for its class (a number of the run's)."""
    run, folder = given.run, given.run.folder.overlays
    if not run.manifest.keep_pictures or not indices:
        return [None] * len(indices)
    pictures = [given.images.reader.read(index, short_side=run.preprocess.decode_side) for index in indices]
    try:
        heats = explain(run.model, run.preprocess(pictures), classes, method="grad_cam").heat()
    except (ExplanationError, RuntimeError):  # a network without feature maps, or whose maps no gradient reaches
        return [None] * len(indices)
    with guard(folder, option=None):
        folder.mkdir(exist_ok=True)
    files: list[str | None] = []
    for index, number, picture, heat in zip(indices, classes, pictures, heats, strict=True):
        shown = enlarged(picture, SIDE)
        over = overlay(shown, run.preprocess.place(heat, shown.shape[:2]))
        file = folder / f"{given.scan.hashes[index]}-{number}.jpg"
        write_bytes(file, thumbnail(over, SIDE), option=None)
        files.append(f"{folder.name}/{file.name}")
    return files
