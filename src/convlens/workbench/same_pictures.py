"""Several runs on the same pictures: those that none of them was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from convlens.data import Images, open_images
from convlens.errors import DataError, UsageError, counted
from convlens.measurement import Scores, score
from convlens.runs import Run
from convlens.workbench.evaluate import choose_pictures, logits_on, match_classes, own_source
from convlens.workbench.gather import check_data_dir
from convlens.workbench.recognise import look_over, new_to
from convlens.workbench.results import Progress, Tell


@dataclass(frozen=True)
class Answers:
    """Of each run, in their order, the predicted classes (N,) and the scores; `labels` (N,) count as `classes` do.

    The pictures are those of `images` whose indices are `shown`.
    """

    images: Images
    shown: np.ndarray
    classes: tuple[str, ...]
    labels: np.ndarray
    predicted: tuple[np.ndarray, ...]
    scores: tuple[Scores, ...]

    @property
    def data(self) -> str:
        return self.images.name


def answers_of(
    runs: Sequence[Run],
    data: str | Path | None = None,
    *,
    data_dir: str | Path | None = None,
    part: str = "test",
    progress: Progress | None = None,
    tell: Tell,
) -> Answers:
    """`data` is by default what the first run was trained on. UsageError for runs of other classes than the first's.

    DataError where no picture is left.
    """
    first = runs[0]
    for run in runs[1:]:
        if set(run.classes) != set(first.classes):
            raise UsageError(
                f"{run.path} knows {', '.join(run.classes[:5])} …, and {first.path} {', '.join(first.classes[:5])} …; "
                "runs are compared on the same classes"
            )
    if data is None:
        data, data_dir = own_source(first, data_dir)
    else:
        check_data_dir(data, data_dir)
    images = open_images(data, data_dir=data_dir, progress=progress)
    kept = _new_to_all(runs, images, part, progress, tell)
    logits, readable = [], []
    for run in runs:
        rows, places, _ = logits_on(run, images, kept, "none", progress)
        order = [run.classes.index(name) for name in first.classes]
        logits.append(dict(zip(places.tolist(), rows[:, order], strict=True)))
        readable.append(set(places.tolist()))
    shown = sorted(set.intersection(*readable))
    labels = match_classes(images, first.classes)[shown]
    stacked = [torch.stack([rows[index] for index in shown]) for rows in logits]
    scores = (
        score(x, labels, first.classes, temperature=run.temperature) for x, run in zip(stacked, runs, strict=True)
    )
    predicted = tuple(x.argmax(1).numpy() for x in stacked)
    return Answers(images, np.array(shown), first.classes, labels, predicted, tuple(scores))


def _new_to_all(runs: Sequence[Run], images: Images, part: str, progress: Progress | None, tell: Tell) -> np.ndarray:
    """The first run's part, but for what one of the others was trained on."""
    first, *others = runs
    given = look_over(first, images, match_classes(images, first.classes), progress)
    kept = choose_pictures(given, part, False, tell)[0]
    num_first = len(kept)
    for run in others:
        kept = new_to(run, images, match_classes(images, run.classes), kept, progress)
    if not len(kept):
        raise DataError(f"no picture of {images.source} is new to every run; give others with --data")
    if len(kept) < num_first:
        tell(f"{num_first - len(kept):,} of {counted(num_first, 'picture')} left out: another run was trained on them")
    return kept
