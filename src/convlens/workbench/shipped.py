"""What a network would be on this machine: its ONNX file, float32 or int8, by the engine that is fastest here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from convlens.data import usable_cpus
from convlens.engines import Engine, Model, Settings, candidates_for, choose_engine, open_with
from convlens.errors import ConvlensError, ExportError
from convlens.measurement import Latency, time_in_turn
from convlens.training.machine import has_fast_bf16

CHOOSING_S = 3.0  # for all engines, beside the export
TIMED_S = 1.0  # for each that is timed
QUIET = 0.1  # a timing that is noisier is repeated
ATTEMPTS = 3
RUNS_FILES = ("onnxruntime", "openvino")


@dataclass(frozen=True)
class Shipped:
    """A network or an int8 file, and the settings of the engine that runs it fastest, one picture at a time.

    `more_bytes` are those that its classes, its preprocessing and where it comes from take in an exported file.
    """

    model: Model
    settings: Settings
    more_bytes: int = 0

    @property
    def size_bytes(self) -> int:
        return len(self.model.onnx) + self.more_bytes

    def opened(self) -> Engine:
        return open_with(self.settings, self.model)


def shipped_network(network: nn.Module, images: Tensor, temperature: float) -> Shipped:
    """By the fastest engine that agrees with torch on these pictures, as `--engine auto` chooses it."""
    model, threads = Model(network, images.shape[1:]), usable_cpus()
    candidates = candidates_for(threads=threads, batch=1, bf16=has_fast_bf16())
    asked = {"batch": 1, "candidates": candidates, "temperature": temperature, "budget_s": CHOOSING_S}
    return Shipped(model, choose_engine(model, images, **asked).settings)  # type: ignore[arg-type]


def shipped_file(file: bytes, images: Tensor) -> Shipped:
    """By the faster of the engines that run an int8 file; whether it agrees is what its accuracy says."""
    model = Model(file, images.shape[1:])
    with ExitStack() as held:
        engines, why = [], ""
        for settings in [Settings(name, threads=count) for name in RUNS_FILES for count in {1, usable_cpus()}]:
            try:
                engines.append(held.enter_context(open_with(settings, model)))
            except ConvlensError as error:
                why = str(error)
        if not engines:
            raise ExportError(f"no engine runs the int8 file: {why}")
        times = time_in_turn([partial(engine, images[:1]) for engine in engines], seconds=TIMED_S / 2)
        fastest = min(zip(times, engines, strict=True), key=lambda pair: pair[0].p50_ms)[1]
        return Shipped(model, fastest.settings)


@contextmanager
def opened(shipped: Sequence[Shipped]) -> Iterator[list[Engine]]:
    with ExitStack() as held:
        yield [held.enter_context(one.opened()) for one in shipped]


def steady_latencies(engines: Sequence[Engine]) -> tuple[Latency, ...]:
    """Of one picture each, in turn; the quietest of three attempts where the machine was noisy."""
    drawn = torch.Generator().manual_seed(0)
    calls = [partial(engine, torch.rand(1, *engine.input_shape, generator=drawn)) for engine in engines]
    attempts: list[tuple[Latency, ...]] = []
    for _ in range(ATTEMPTS):
        attempts.append(time_in_turn(calls, seconds=TIMED_S))
        if max(one.noise for one in attempts[-1]) <= QUIET:
            break
    return min(attempts, key=lambda found: max(one.noise for one in found))
