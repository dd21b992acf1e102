"""A run, and another beside it, on pictures that are turned, moved, blurred, compressed and covered."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from convlens.data import usable_cpus
from convlens.errors import DataError, PictureError, UsageError
from convlens.measurement import RobustnessCurve, robustness
from convlens.runs import Run
from convlens.training import Choice, logits_of
from convlens.workbench.own_network import open_run
from convlens.workbench.recognise import Candidates, new_to
from convlens.workbench.results import Progress

MOST = 1000  # pictures, evenly over those that were scored


@dataclass(frozen=True)
class Beside:
    """Another run's curves on the same pictures; was it trained with augmentation? None where nobody knows."""

    name: str
    augmented: bool | None
    curves: tuple[RobustnessCurve, ...]


def curves_of(
    given: Candidates, kept: np.ndarray, other: Run | None, progress: Progress | None
) -> tuple[tuple[RobustnessCurve, ...], Beside | None]:
    """`kept` are the pictures that were scored; of the other run, none that it was trained on is taken."""
    if other is not None:
        kept = new_to(other, given.images, given.labels, kept, progress)
        if not len(kept):
            raise DataError(f"{other.path} was trained on every picture that could be scored; give other pictures")
    some = kept[np.linspace(0, len(kept) - 1, min(MOST, len(kept))).round().astype(int)]
    mine = _curves(given.run, given, some, progress)
    if other is None:
        return mine, None
    return mine, Beside(other.manifest.name, augmented(other), _curves(other, given, some, progress))


def open_beside(other: Run | str | Path, run: Run) -> Run:
    """Opened, with its weights; UsageError where it knows other classes."""
    other = open_run(other)
    if other.classes != run.classes:
        raise UsageError(
            f"{other.path} knows the classes {', '.join(other.classes[:5])} …, and {run.path} "
            f"{', '.join(run.classes[:5])} …; runs are compared on the same classes"
        )
    if other.path.resolve() == run.path.resolve():
        raise UsageError(f"--beside came as {other.path}, the run itself; give another run, or --robustness alone")
    other.model  # noqa: B018 (what does not fit is said before anything is scored)
    return other


def augmented(run: Run) -> bool | None:
    """Was it trained on pictures that were changed at random?"""
    return None if run.manifest.recipe is None else bool(run.manifest.recipe.get("augment"))


def _curves(run: Run, given: Candidates, some: np.ndarray, progress: Progress | None) -> tuple[RobustnessCurve, ...]:
    model = copy.deepcopy(run.model).eval()
    choice = Choice.of_layout(model, torch.zeros(run.input_shape), usable_cpus())
    pixels, labels = [], []
    for index in some.tolist():
        try:
            picture = given.images.reader.read(index, short_side=run.preprocess.decode_side)
        except PictureError:
            continue  # counted as unreadable already
        pixels.append(run.preprocess.pixels(picture))
        labels.append(given.labels[index])
    answer = partial(logits_of, model, preprocess=run.preprocess, choice=choice, device=torch.device("cpu"))
    return robustness(answer, torch.from_numpy(np.stack(pixels)), torch.tensor(labels), progress=progress)
