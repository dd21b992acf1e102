"""What answers for a run: the network as it was trained, or an engine, by name or the fastest that agrees.

`plain` is the default of every command: its answers are those that the training measured, to the last bit, it costs
nothing to begin, and which engine was the fastest this time changes no result.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from convlens.data import usable_cpus
from convlens.engines import (
    ENGINES,
    MOST_PICTURES,
    PLAIN,
    Engine,
    EngineChoice,
    Model,
    Settings,
    agreement_on,
    bound_for,
    candidates_for,
    check_engine,
    choose_engine,
    open_with,
)
from convlens.errors import DataError, ExportError, PictureError, StorageError
from convlens.runs import Run
from convlens.storage import cache_dir, sha256_bytes
from convlens.training import Choice
from convlens.training.machine import has_fast_bf16
from convlens.training.validation import inference_batch
from convlens.workbench.engine_record import engine_versions, keep_choice, known_choice
from convlens.workbench.results import Tell, silent

AUTO = "auto"
NAMES = (AUTO, *ENGINES)
COMPARED = 16  # first pictures of an engine that was named
Read = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Running:
    """`network` takes pictures as the run's preprocessing makes them; `words` say what runs."""

    network: nn.Module
    choice: Choice
    words: str = PLAIN


class Answering(nn.Module):
    """An engine where a network is expected."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine

    def forward(self, images: Tensor) -> Tensor:
        return self.engine(images)


class Compared(Answering):
    """An engine that was asked for by name: its first answers are compared with the network's own.

    Raises ExportError where they differ.
    """

    def __init__(self, engine: Engine, run: Run) -> None:
        super().__init__(engine)
        self._run, self._left = run, COMPARED

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        if self._left > 0:
            some = images[: self._left]  # asked by themselves, as answers may hang on the rest of a batch
            self._compare(some, logits if len(some) == len(images) else super().forward(some))
        return logits

    def _compare(self, images: Tensor, logits: Tensor) -> None:
        network = self._run.model
        found = agreement_on(network, images, logits, temperature=self._run.temperature)
        if far := found.distance(bound_for(self.engine.settings, network)):
            name = type(network).__name__
            raise ExportError(
                f"the engine '{self.engine.name}' does not answer as {name} does: {far}; take 'plain' or 'auto'"
            )
        self._left -= len(images)


def check_engine_name(name: str) -> None:
    """UsageError for what `--engine` does not take."""
    check_engine(name, others=(AUTO,))


@contextmanager
def running(run: Run, engine: str = PLAIN, reads: Sequence[Read] = (), *, tell: Tell = silent) -> Iterator[Running]:
    """Opened, and closed at the end. `reads` are the pictures to come, on which `auto` compares the engines.

    An engine that was named is compared on the first that it answers: ExportError from the network where it differs.
    """
    check_engine_name(engine)
    if engine == PLAIN:
        network = copy.deepcopy(run.model).eval()  # the run keeps its own layout
        yield Running(network, Choice.of_layout(network, torch.zeros(run.input_shape), usable_cpus()))
        return
    model = Model(run.model, run.input_shape[1:], kept=_kept(run))
    settings = Settings(engine, threads=usable_cpus()) if engine != AUTO else _chosen(run, model, reads, tell).settings
    layout = "channels_last" if settings.name in (PLAIN, "torch") else "channels_first"
    with open_with(settings, model) as opened:
        answering = Answering(opened) if engine == AUTO else Compared(opened, run)
        yield Running(answering, Choice("fp32", layout, settings.threads), str(settings))


def _kept(run: Run) -> Path | None:
    """Where the exported network stays for the next command; nowhere for a user's own, whose code may change."""
    if run.given_model is not None:
        return None
    manifest = run.manifest
    facts = [
        manifest.weights["sha256"],
        manifest.architecture,
        manifest.channel_plan,
        manifest.quantisation,
        run.input_shape,
        engine_versions(),
    ]
    name = sha256_bytes(json.dumps(facts, sort_keys=True, default=str).encode())[:32]
    return cache_dir() / "engines" / f"{name}.onnx"


def _chosen(run: Run, model: Model, reads: Sequence[Read], tell: Tell) -> EngineChoice:
    """As it was kept, or measured now and kept."""
    batch, threads = batch_class(len(reads), run.preprocess.size), usable_cpus()
    known = known_choice(run, batch, threads=threads, pictures=len(reads))
    if known is not None:
        tell(f"engine: {known} (measured before)")
        return known
    choice = choose_engine(
        model,
        _pictures(run, reads),
        batch=batch,
        candidates=candidates_for(threads=threads, batch=batch, bf16=has_fast_bf16()),
        temperature=run.temperature,
    )
    tell(f"engine: {choice}")
    for one in choice.candidates:
        if one.refused.startswith("missing"):
            tell(f"engine: {one.settings.name} is {one.refused}")
    try:
        keep_choice(run, choice, threads=threads, pictures=len(reads))
    except StorageError as error:
        tell(f"the choice of the engine is not kept: {error}")
    return choice


def batch_class(pictures: int, size: tuple[int, int]) -> int:
    """How many come at once, rounded up to a power of two, so that a few measurements serve all."""
    rounded: int = 1 << (max(1, pictures) - 1).bit_length()
    return min(rounded, inference_batch(size))


def _pictures(run: Run, reads: Sequence[Read]) -> Tensor:
    """The first that can be read, as the network takes them: (N, C, H, W)."""
    preprocess = run.preprocess

    def pixels(read: Read) -> np.ndarray | None:
        try:
            return preprocess.pixels(read(preprocess.decode_side))
        except PictureError:
            return None

    with ThreadPoolExecutor(usable_cpus()) as threads:
        tried = threads.map(pixels, reads[: 2 * MOST_PICTURES])
        found = list(islice((one for one in tried if one is not None), MOST_PICTURES))
    if not found:
        raise DataError(
            "--engine auto compares engines on pictures, and none could be read; `convlens doctor` says why"
        )
    return preprocess.normalise(torch.from_numpy(np.stack(found)))
