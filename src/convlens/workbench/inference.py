"""A run on pictures: decoded by threads, read by the run's own preprocessing, in bounded memory."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from convlens.data import usable_cpus
from convlens.errors import PictureError, UsageError
from convlens.measurement import framed, with_views
from convlens.pictures import Preprocess
from convlens.runs import Run
from convlens.training import Choice, logits_of
from convlens.workbench.results import Progress

CHUNK = 256  # pictures decoded at a time


def read_logits(
    run: Run,
    reads: Sequence[Callable[[int], np.ndarray]],
    *,
    tta: str = "none",
    progress: Progress | None = None,
) -> Iterator[tuple[int, Tensor | PictureError]]:
    """For each `read(short_side)`, in order: (place, (K,) logits) or (place, the PictureError it raised)."""
    choice = Choice("fp32", "channels_last", usable_cpus())
    own = choice.laid_out(copy.deepcopy(run.model))  # the run keeps its own layout
    model, preprocess = with_views(own, tta, run.preprocess.size), framed(run.preprocess, tta)

    def fitting(picture: np.ndarray) -> np.ndarray:
        """A run of rows (`ConvClassifier` without a picture's shape) reads what is one pixel high, and as wide."""
        if preprocess.size[0] == 1 and picture.shape[:2] != preprocess.size:
            raise UsageError(
                f"{run.path} reads rows of {preprocess.size[1]} numbers, and a picture of {picture.shape[0]}×"
                f"{picture.shape[1]} px came; give rows to the estimator that was fitted"
            )
        return picture

    def pixels(read: Callable[[int], np.ndarray]) -> np.ndarray | PictureError:
        try:
            return preprocess.pixels(fitting(read(preprocess.decode_side)))
        except PictureError as error:
            return error

    with ThreadPoolExecutor(usable_cpus()) as threads:
        for start in range(0, len(reads), CHUNK):
            found = list(threads.map(pixels, reads[start : start + CHUNK]))
            good = [item for item in found if not isinstance(item, PictureError)]
            rows = _logits(model, good, preprocess, choice)
            for place, item in enumerate(found, start):
                yield (place, item) if isinstance(item, PictureError) else (place, next(rows))
            if progress:
                progress("read", min(start + CHUNK, len(reads)), len(reads), "")


def _logits(
    model: torch.nn.Module, pixels: list[np.ndarray], preprocess: Preprocess, choice: Choice
) -> Iterator[Tensor]:
    if not pixels:
        return iter(())
    stacked = torch.from_numpy(np.stack(pixels))
    return iter(logits_of(model, stacked, preprocess, choice, device=torch.device("cpu")))
