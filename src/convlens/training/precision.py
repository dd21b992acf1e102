"""Precision, memory layout and threads, chosen by timing this network on this machine, on a copy of it.

bf16 is not always faster, channels-last is not always faster, and two threads are not always faster than one
(LeNet and MobileNet point in opposite directions), so nothing here is folklore. Whoever names a precision gets one
fixed way, and nothing is measured: two such trainings on one machine are equal bit for bit.
"""

from __future__ import annotations

import copy
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.data import usable_cpus
from convlens.training.machine import has_fast_bf16
from convlens.training.recipe import Recipe

WORTH = 1.1  # a choice that departs from plain float32 must be a tenth faster
WORTH_A_THREAD = 1.25  # than one thread: where a machine is shared, several wait for each other
TIMED_S = 0.25  # about how long one choice is timed


@dataclass(frozen=True)
class Choice:
    """One way to run a step."""

    precision: str
    layout: str
    threads: int

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.layout == "channels_last" else torch.contiguous_format

    def laid_out(self, network: nn.Module) -> nn.Module:
        return network.to(memory_format=self.memory_format)  # type: ignore[call-overload]

    def autocast(self, device: torch.device) -> Any:
        return torch.autocast(device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()


@dataclass(frozen=True)
class Timed:
    choice: Choice
    step_ms: float

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self.choice), "step_ms": round(self.step_ms, 3)}


def choose(
    network: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe, device: torch.device, *, seconds: float = 10.0
) -> tuple[Choice, tuple[dict[str, Any], ...]]:
    """The fastest way to train this network on batches like this one, and every figure measured in up to `seconds`."""
    threads = recipe.threads or usable_cpus()
    if recipe.precision != "auto":
        return Choice(recipe.precision, "channels_last", threads), ()
    if device.type != "cpu":
        return Choice("bf16", "channels_last", threads), ()
    started = time.perf_counter()
    timed: list[Timed] = []
    for choice in _candidates(threads):
        timed.append(_time(network, images, labels, choice))
        if time.perf_counter() - started > seconds:
            break
    best = _best(timed)
    if recipe.threads is None and threads > 1 and time.perf_counter() - started < seconds:
        alone = _time(network, images, labels, Choice(best.choice.precision, best.choice.layout, 1))
        timed.append(alone)
        best = best if best.step_ms * WORTH_A_THREAD < alone.step_ms else alone
    return best.choice, tuple(one.to_dict() for one in timed)


def _candidates(threads: int) -> list[Choice]:
    """Plain float32 first, from which the others must differ by enough to be worth it."""
    choices = [Choice("fp32", "channels_first", threads), Choice("fp32", "channels_last", threads)]
    return [*choices, Choice("bf16", "channels_last", threads)] if has_fast_bf16() else choices


def _best(timed: list[Timed]) -> Timed:
    """The fastest, where it is worth leaving the first: plain float32."""
    fastest = min(timed, key=lambda one: one.step_ms)
    return fastest if fastest.step_ms * WORTH < timed[0].step_ms else timed[0]


def _time(network: nn.Module, images: Tensor, labels: Tensor, choice: Choice) -> Timed:
    before = torch.get_num_threads()
    torch.set_num_threads(choice.threads)
    try:
        with torch.random.fork_rng(devices=[]):  # dropout draws nothing from the caller's generator
            return Timed(choice, _step_ms(copy.deepcopy(network).train(), images, labels, choice))
    finally:
        torch.set_num_threads(before)


def _step_ms(network: nn.Module, images: Tensor, labels: Tensor, choice: Choice) -> float:
    network = choice.laid_out(network)
    images = images.contiguous(memory_format=choice.memory_format)
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - started < TIMED_S:
        begin = time.perf_counter()
        with choice.autocast(images.device):
            logits = network(images)
        F.cross_entropy(logits.float(), labels).backward()
        network.zero_grad(set_to_none=True)
        times.append(1000 * (time.perf_counter() - begin))
        if len(times) >= 2 and time.perf_counter() - started > 8 * TIMED_S:
            break  # a step takes seconds: two must do
    return min(times[1:])  # whatever else runs on the machine only ever adds
