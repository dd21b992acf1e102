"""A run on pictures: decoded by threads while the network answers, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from convlens.data import usable_cpus
from convlens.errors import PictureError, UsageError
from convlens.measurement import framed, with_views
from convlens.pictures import Preprocess
from convlens.runs import Run
from convlens.training import Choice, logits_of
from convlens.training.validation import inference_batch
from convlens.workbench.results import Progress
from convlens.workbench.running import Running, running

CHUNK = 64  # pictures decoded at a time, in whole batches where one has fewer
AHEAD = 2  # chunks that are decoded, or being so, while another is answered
Read = Callable[[int], np.ndarray]
Decoded = np.ndarray | PictureError


def read_logits(
    run: Run,
    reads: Sequence[Read],
    *,
    tta: str = "none",
    by: Running | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Tensor | PictureError]]:
    """For each `read(short_side)`, in order: (place, (K,) logits) or (place, the PictureError it raised).

    `by` is what answers, the run's own network by default.
    """
    if by is None:
        with running(run) as own:
            yield from read_logits(run, reads, tta=tta, by=own, progress=progress)
        return
    model, preprocess = with_views(by.network, tta, run.preprocess.size), framed(run.preprocess, tta)

    def fitting(picture: np.ndarray) -> np.ndarray:
        """A run of rows (`ConvClassifier` without a picture's shape) reads what is one pixel high, and as wide."""
        if preprocess.size[0] == 1 and picture.shape[:2] != preprocess.size:
            raise UsageError(
                f"{run.path} reads rows of {preprocess.size[1]} numbers, and a picture of {picture.shape[0]}×"
                f"{picture.shape[1]} px came; give rows to the estimator that was fitted"
            )
        return picture

    def pixels(read: Read) -> Decoded:
        try:
            return preprocess.pixels(fitting(read(preprocess.decode_side)))
        except PictureError as error:
            return error

    start, batch = 0, inference_batch(preprocess.size)
    for found in decoded_ahead(pixels, reads, max(1, CHUNK // batch) * batch):
        good = [item for item in found if not isinstance(item, PictureError)]
        rows = _logits(model, good, preprocess, by.choice)
        for place, item in enumerate(found, start):
            yield (place, item) if isinstance(item, PictureError) else (place, next(rows))
        start += len(found)
        if progress:
            progress("read", start, len(reads), "")


def decoded_ahead(pixels: Callable[[Read], Decoded], reads: Sequence[Read], chunk: int) -> Iterator[list[Decoded]]:
    """Chunk by chunk, in order; threads work on the next ones meanwhile."""
    starts = iter(range(0, len(reads), chunk))
    threads = ThreadPoolExecutor(usable_cpus())
    waiting: deque[list[Future[Decoded]]] = deque()
    try:
        for start in starts:
            waiting.append([threads.submit(pixels, read) for read in reads[start : start + chunk]])
            if len(waiting) > AHEAD:
                yield [one.result() for one in waiting.popleft()]
        while waiting:
            yield [one.result() for one in waiting.popleft()]
    finally:
        threads.shutdown(cancel_futures=True)


def _logits(
    model: torch.nn.Module, pixels: list[np.ndarray], preprocess: Preprocess, choice: Choice
) -> Iterator[Tensor]:
    if not pixels:
        return iter(())
    stacked = torch.from_numpy(np.stack(pixels))
    return iter(logits_of(model, stacked, preprocess, choice, device=torch.device("cpu")))
