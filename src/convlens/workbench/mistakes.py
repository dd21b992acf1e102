"""Pictures that were taken for another class: the most confident ones, each with a thumbnail in the run."""

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
MAX_THUMBNAILS = 2000  # in a run, over all evaluations
MAX_OVERLAYS = 24  # of an evaluation: the most confident errors, with a map of what speaks for the wrong class
SIDE = 96  # pixels of a thumbnail


@dataclass(frozen=True)
class WrongPicture:
    """A picture that was taken for another class, with how sure the network was.

    `thumbnail` is a file of the run, and `overlay` one of the same picture under its Grad-CAM map of the wrong class.
    """

    key: str
    truth: str
    predicted: str
    confidence: float
    thumbnail: str | None
    overlay: str | None = None


def most_confident(given: Candidates, kept: np.ndarray, logits: torch.Tensor) -> tuple[int, tuple[WrongPicture, ...]]:
    """-> (how many pictures were taken for another class, the most confident of them)."""
    run, truth = given.run, given.labels[kept]
    likeliest = probabilities(logits, run.temperature).max(dim=1)
    confidence, predicted = likeliest.values.numpy(), likeliest.indices.numpy()
    wrong = np.flatnonzero(predicted != truth)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")]
    _, first = np.unique(truth[surest] * len(run.classes) + predicted[surest], return_index=True)
    chosen = np.concatenate([np.sort(first), np.delete(np.arange(len(surest)), first)])[:MAX_ERRORS]
    shown = surest[np.sort(chosen)]  # the surest of each pair of classes among them
    thumbnails = _keep_thumbnails(given, kept[shown].tolist())
    listed = tuple(
        WrongPicture(
            given.images.reader.key(int(kept[row])),
            run.classes[truth[row]],
            run.classes[predicted[row]],
            round(float(confidence[row]), 4),
            small,
        )
        for row, small in zip(shown, thumbnails, strict=True)
    )
    places, classes = kept[shown][:MAX_OVERLAYS].tolist(), predicted[shown][:MAX_OVERLAYS].tolist()
    maps = _keep_overlays(given, places, classes)
    explained = tuple(replace(one, overlay=file) for one, file in zip(listed, maps, strict=False))
    return len(wrong), (*explained, *listed[len(explained) :])


def _keep_thumbnails(given: Candidates, indices: list[int]) -> list[str | None]:
    """A small JPEG in the run for each picture, until the run is full; none where it keeps no pictures."""
    folder = given.run.folder.thumbnails
    if not given.run.manifest.keep_pictures or not indices:
        return [None] * len(indices)
    with guard(folder, option=None):
        folder.mkdir(parents=True, exist_ok=True)
    there = {file.name for file in folder.iterdir()}
    names = [f"{given.scan.hashes[index]}.jpg" for index in indices]
    for index, name in zip(indices, names, strict=True):
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
        folder.mkdir(parents=True, exist_ok=True)
    files: list[str | None] = []
    for index, number, picture, heat in zip(indices, classes, pictures, heats, strict=True):
        shown = enlarged(picture, SIDE)
        over = overlay(shown, run.preprocess.place(heat, shown.shape[:2]))
        file = folder / f"{given.scan.hashes[index]}-{number}.jpg"
        write_bytes(file, thumbnail(over, SIDE), option=None)
        files.append(f"{folder.name}/{file.name}")
    return files
