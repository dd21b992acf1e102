"""How long a network takes on this machine, and what two figures of time are worth."""

from __future__ import annotations

import ctypes
import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlens.errors import UsageError
from convlens.graph import evaluating

LEAST_RUNS = 10  # however long they take
LEAST_NOISE = 0.03  # of a median, however quiet the machine
PARTS = 5  # of the runs, whose medians say how noisy the machine was
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # Linux


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one batch: half of the runs took at most p50, 99 of 100 at most p99.

    `noise` is the spread of the medians of five parts of the runs, as a share of p50: figures that differ by less
    cannot be told apart. `peak_memory_bytes` is the most that the passes took beyond what the process held before them;
    None where nobody counts.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    images_per_second: float
    num_runs: int
    batch: int
    threads: int
    noise: float = 0.0
    peak_memory_bytes: int | None = None

    @property
    def ms_per_image(self) -> float:
        return self.p50_ms / self.batch

    @property
    def doubt(self) -> float:
        """A figure that differs by no more than this share cannot be told apart."""
        return max(LEAST_NOISE, self.noise)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_latency(
    model: nn.Module,
    input_shape: tuple[int, ...] | Tensor,
    *,
    num_runs: int = 50,
    warmup: int = 5,
    seconds: float = math.inf,
) -> Latency:
    """Times `num_runs` forward passes of an input (N, C, H, W) after `warmup` that do not count.

    After so many `seconds` no more begin, but ten there are. In evaluation mode and `torch.inference_mode`, on the
    device of the weights; every module's mode is put back.
    """
    images = _example(model, input_shape)
    with evaluating(model), torch.inference_mode():
        asked: dict[str, Any] = {"num_runs": num_runs, "warmup": warmup, "seconds": seconds}
        return time_calls(lambda: model(images), batch=len(images), on=images.device, **asked)


def time_calls(
    call: Callable[[], Any],
    *,
    batch: int = 1,
    num_runs: int = 50,
    warmup: int = 5,
    seconds: float = math.inf,
    on: torch.device | None = None,
) -> Latency:
    """As `measure_latency`, of calls that take `batch` pictures each; waits for the device `on`."""
    if num_runs < 1 or warmup < 0:
        raise UsageError(f"num_runs is {num_runs} and warmup {warmup}; expected at least 1 and 0")
    if warmup:
        _one_run(call, on)  # what is made once is no part of what a pass takes
    before = _start_watching(on)
    end = perf_counter() + seconds
    for _ in range(warmup - 1):
        if perf_counter() > end:
            break
        _one_run(call, on)
    times: list[float] = []
    while len(times) < num_runs and (len(times) < LEAST_RUNS or perf_counter() < end):
        times.append(_one_run(call, on))
    return _latency(times, batch, _beyond(before, on))


def time_in_turn(
    calls: Sequence[Callable[[], Any]], *, batch: int = 1, seconds: float = 5.0, on: torch.device | None = None
) -> tuple[Latency, ...]:
    """Each call's latency, measured in five rounds of them all, so that what slows the machine slows each of them.

    `seconds` for each call, of at least ten runs.
    """
    runs = []
    for call in calls:
        _one_run(call, on)
        each = _one_run(call, on) / 1000
        runs.append(max(LEAST_RUNS // PARTS, min(50, round(seconds / PARTS / max(each, 1e-9)))))
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(PARTS):
        for call, count, found in zip(calls, runs, times, strict=True):
            _one_run(call, on)  # the others have had the cache
            found.extend(_one_run(call, on) for _ in range(count))
    return tuple(_latency(found, batch, None) for found in times)


def _latency(times: list[float], batch: int, peak: int | None) -> Latency:
    p50, p90, p99 = (float(np.percentile(times, share)) for share in (50, 90, 99))
    rate = 1000 * batch / p50
    counts = (len(times), batch, torch.get_num_threads())
    return Latency(p50, p90, p99, float(np.mean(times)), rate, *counts, noise_of(times), peak)


def noise_of(times: Sequence[float]) -> float:
    """(highest - lowest) / overall, of the medians of five parts, one after the other; 0.0 for fewer than ten times."""
    if len(times) < 2 * PARTS:
        return 0.0
    medians = [median(part.tolist()) for part in np.array_split(np.array(times), PARTS)]
    return (max(medians) - min(medians)) / median(times)


def told_apart(one: Latency, other: Latency) -> bool:
    """Do the medians for a picture differ by more than either's noise, and by more than 3 %?"""
    fast, slow = sorted((one.ms_per_image, other.ms_per_image))
    ratio = slow / fast
    return ratio > 1 + max(one.doubt, other.doubt)


def _example(model: nn.Module, input_shape: tuple[int, ...] | Tensor) -> Tensor:
    if isinstance(input_shape, Tensor):
        return input_shape
    weight = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    noise = torch.rand(tuple(input_shape), generator=torch.Generator().manual_seed(0))
    return noise.to(weight.device, weight.dtype)


def _one_run(call: Callable[[], Any], on: torch.device | None) -> float:
    _wait_for(on)
    start = perf_counter()
    call()
    _wait_for(on)
    return 1000 * (perf_counter() - start)


def _wait_for(on: torch.device | None) -> None:
    if on is not None and on.type == "cuda":
        torch.cuda.synchronize(on)


def _start_watching(on: torch.device | None) -> int | None:
    """Bytes held now, from which on the highest is kept; None where nobody counts."""
    if on is not None and on.type == "cuda":
        torch.cuda.reset_peak_memory_stats(on)
        return torch.cuda.memory_allocated(on)
    try:
        give_back_memory()
        RESET.write_text("5")  # the highest resident size is that of now
        return _resident("VmRSS")
    except OSError:
        return None


def give_back_memory() -> None:
    """What glibc keeps of freed buffers goes back to the system, so that the next ones are counted."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _beyond(before: int | None, on: torch.device | None) -> int | None:
    """The most that was held since, less what was held before."""
    if before is None:
        return None
    on_gpu = on is not None and on.type == "cuda"
    highest = torch.cuda.max_memory_allocated(on) if on_gpu else _resident("VmHWM")
    return None if highest is None else max(0, highest - before)


def _resident(name: str) -> int | None:
    """Bytes; None where the system does not tell."""
    lines = [line for line in STATUS.read_text().splitlines() if line.startswith(name)]
    return 1024 * int(lines[0].split()[1]) if lines else None
