"""Concurrent predictions share a batch: whatever waits when the network is free is answered together.

Nobody waits for a batch to fill: alone, a picture is answered at once, and under load the batches grow by themselves.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from convlens.errors import counted
from convlens.pictures import Preprocess
from convlens.server.refused import Refused
from convlens.server.workers import ENDS_S, NAME, computing
from convlens.training import logits_of
from convlens.training.validation import inference_batch
from convlens.workbench.running import Running

MOST_OF_A_BATCH = 64


@dataclass
class Waiting:
    """The pictures of a request, (N, C, H, W) uint8, and where its logits (N, K) go."""

    pixels: np.ndarray
    future: Future[Tensor] = field(default_factory=Future)


class Batcher:
    """One thread that answers for a run; `close` ends it after the batch at hand."""

    def __init__(self, name: str, running: Running, preprocess: Preprocess, most_waiting: int) -> None:
        self._running, self._preprocess, self._most_waiting = running, preprocess, most_waiting
        self._most = max(1, min(MOST_OF_A_BATCH, inference_batch(preprocess.size)))
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._num_waiting, self._closed = 0, False
        self.num_batches = self.num_pictures = 0
        self._thread = threading.Thread(target=self._serve, name=f"{NAME}: {name}", daemon=True)
        self._thread.start()

    @property
    def num_waiting(self) -> int:
        return self._num_waiting

    def submit(self, pixels: Sequence[np.ndarray]) -> Future[Tensor]:
        """-> logits (N, K) to come; Refused with 503 where too many wait already, or when it is closed."""
        asked = Waiting(np.stack(list(pixels)))
        with self._lock:
            if self._closed:
                raise _closing()
            if self._num_waiting and self._num_waiting + len(pixels) > self._most_waiting:
                waiting = counted(self._num_waiting, "picture")
                raise Refused(503, f"{waiting} wait for the network already; try again in a second", retry_after=1)
            self._num_waiting += len(pixels)
            self._queue.put(asked)
        return asked.future

    def close(self) -> None:
        with self._lock:  # nothing comes behind the end, where nobody would answer it
            self._closed = True
            self._queue.put(None)
        self._thread.join(ENDS_S)

    def _serve(self) -> None:
        held: Waiting | None = None
        while True:
            first = held or self._queue.get()
            if first is None:
                return self._refuse_the_rest()
            batch, held, ended = self._gather(first)
            self._answer(batch)
            if ended:
                return self._refuse_the_rest()

    def _gather(self, first: Waiting) -> tuple[list[Waiting], Waiting | None, bool]:
        """What waits with it, up to a batch; what did not fit into it; and whether the end was asked for."""
        batch, size = [first], len(first.pixels)
        while size < self._most:
            try:
                one = self._queue.get_nowait()
            except queue.Empty:
                break
            if one is None:
                return batch, None, True
            if size + len(one.pixels) > self._most:
                return batch, one, False
            batch.append(one)
            size += len(one.pixels)
        return batch, None, False

    def _answer(self, batch: list[Waiting]) -> None:
        size = sum(len(one.pixels) for one in batch)
        batch = [one for one in batch if one.future.set_running_or_notify_cancel()]  # some are not waited for any more
        rows: Tensor | Exception | None = None
        try:
            rows = self._logits(np.concatenate([one.pixels for one in batch])) if batch else None
        except Exception as error:
            rows = error
        with self._lock:
            self._num_waiting -= size
            self.num_batches += bool(batch)
            self.num_pictures += sum(len(one.pixels) for one in batch)
        if isinstance(rows, Tensor):
            for one, part in zip(batch, rows.split([len(one.pixels) for one in batch]), strict=True):
                one.future.set_result(part)
        else:
            for one in batch:
                one.future.set_exception(rows)

    def _logits(self, pixels: np.ndarray) -> Tensor:
        network, choice = self._running.network, self._running.choice
        with computing():
            return logits_of(network, torch.from_numpy(pixels), self._preprocess, choice, device=torch.device("cpu"))

    def _refuse_the_rest(self) -> None:
        while True:
            try:
                one = self._queue.get_nowait()
            except queue.Empty:
                return
            if one is not None and one.future.set_running_or_notify_cancel():
                one.future.set_exception(_closing())


def _closing() -> Refused:
    return Refused(503, "the server is closing; start it again", retry_after=5)
