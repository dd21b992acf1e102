"""Precision, memory layout, threads and allocator, chosen by timing this network on this machine, on a copy of it.

bf16 is not always faster, channels-last is not always faster, and two threads are not always faster than one
(LeNet and MobileNet point in opposite directions), so nothing here is folklore. Whoever names a precision gets one
fixed way, and nothing is measured: two such trainings on one machine are equal bit for bit.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.data import usable_cpus
from convlens.errors import NetworkError
from convlens.layers.channels_last import lay_out
from convlens.training.allocator import can_keep_memory, kept_memory
from convlens.training.gradients import QuickGradients, has_slow_gradients
from convlens.training.machine import has_fast_bf16
from convlens.training.recipe import Recipe

WORTH = 1.1  # a choice that departs from plain float32 must be a tenth faster, as must giving buffers back
WORTH_A_THREAD = 1.25  # than one thread: where a machine is shared, several wait for each other
TIMED_S = 0.25  # the longest that one choice is timed, where a step is short
TIMED_SHARE = 0.01  # of the training to come
FEWEST_PICTURES = 8  # on which ways to run a step still rank as on a whole batch
STEPS_TO_TIME = 15  # five choices, three steps each

LAYOUTS = {torch.channels_last: "channels_last", torch.contiguous_format: "channels_first"}

Forward = Callable[[Tensor], Tensor]  # (N, C, H, W) -> (N, K), logits


@dataclass(frozen=True)
class Choice:
    """One way to run a step. `allocator` "kept": freed buffers stay with the process, "system": glibc returns them."""

    precision: str
    layout: str
    threads: int
    allocator: str = "system"

    @classmethod
    def of_layout(cls, network: nn.Module, images: Tensor, threads: int, precision: str = "fp32") -> Choice:
        """Channels last where the network answers such images so, else first; it is laid out accordingly."""
        return cls(precision, LAYOUTS[lay_out(network, images)], threads)

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.layout == "channels_last" else torch.contiguous_format

    @property
    def dtype(self) -> torch.dtype:
        """That convolutions and matrix products run in."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def laid_out(self, network: nn.Module) -> nn.Module:
        return network.to(memory_format=self.memory_format)  # type: ignore[call-overload]

    def autocast(self, device: torch.device) -> Any:
        return torch.autocast(device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()

    def forward_of(self, network: nn.Module, device: torch.device) -> Forward:
        """`network` as it is called in training: in this precision, with the quickest gradients there are for it."""
        has_quicker = self.precision == "bf16" and device.type == "cpu" and has_slow_gradients(network)

        def forward(images: Tensor) -> Tensor:
            with self.autocast(device), QuickGradients() if has_quicker else nullcontext():
                logits: Tensor = network(images)
            return logits

        return forward

    def memory(self) -> AbstractContextManager[None]:
        return kept_memory(self.allocator == "kept")


@dataclass(frozen=True)
class Timed:
    choice: Choice
    step_ms: float
    pictures: int  # of a step

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self.choice), "step_ms": round(self.step_ms, 3), "pictures": self.pictures}


@dataclass(frozen=True)
class Trial:
    """What every choice is timed on; `seconds` for all of them, `steps` of the training to come."""

    network: nn.Module
    images: Tensor
    labels: Tensor
    seconds: float = 10.0
    steps: int = 1_000_000

    def shortened(self, step_s: float) -> Trial:
        """On as many pictures as leave time for every choice, where a step on all of them takes `step_s`."""
        affordable = int(len(self.images) * self.seconds / (STEPS_TO_TIME * max(step_s, 1e-9)))
        few = max(FEWEST_PICTURES, affordable)
        return replace(self, images=self.images[:few], labels=self.labels[:few])

    def of_layout(self, precision: str, threads: int) -> Choice:
        """Not timed, in the layout that the network takes, in training and in eval mode."""
        few, network = self.images[:FEWEST_PICTURES], copy.deepcopy(self.network)
        with torch.random.fork_rng(devices=[]):
            choice = Choice.of_layout(network.train(), few, threads, precision)
            return (
                choice
                if choice.layout == "channels_first"
                else Choice.of_layout(network.eval(), few, threads, precision)
            )

    def fails(self, choice: Choice) -> str:
        """Why a step cannot be run so, on a few pictures nor on all; nothing where it can."""
        why = ""
        for count in (FEWEST_PICTURES, len(self.images)):
            network = choice.laid_out(copy.deepcopy(self.network).train())
            images = self.images[:count].contiguous(memory_format=choice.memory_format)
            try:
                with torch.random.fork_rng(devices=[]):
                    logits = choice.forward_of(network, images.device)(images)
                    F.cross_entropy(logits.float(), self.labels[:count]).backward()
                return ""
            except Exception as error:  # the network's own
                why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return why

    def time(self, choice: Choice) -> Timed:
        before = torch.get_num_threads()
        torch.set_num_threads(choice.threads)
        try:
            # dropout draws nothing from the caller's generator
            with torch.random.fork_rng(devices=[]), choice.memory():
                step_ms = self._step_ms(copy.deepcopy(self.network).train(), choice)
                return Timed(choice, step_ms, len(self.images))
        finally:
            torch.set_num_threads(before)

    def _step_ms(self, network: nn.Module, choice: Choice) -> float:
        network = choice.laid_out(network)
        images = self.images.contiguous(memory_format=choice.memory_format)
        forward = choice.forward_of(network, images.device)
        times: list[float] = []
        started = time.perf_counter()
        while len(times) < 3 or time.perf_counter() - started < min(TIMED_S, TIMED_SHARE * self.steps * min(times)):
            begin = time.perf_counter()
            F.cross_entropy(forward(images).float(), self.labels).backward()
            network.zero_grad(set_to_none=True)
            times.append(time.perf_counter() - begin)
            if len(times) >= 2 and time.perf_counter() - started > 8 * TIMED_S:
                break  # a step takes seconds: two must do
        return 1000 * min(times[1:])  # whatever else runs on the machine only ever adds


def choose(recipe: Recipe, trial: Trial) -> tuple[Choice, tuple[dict[str, Any], ...]]:
    """The fastest way to train this network on batches like this one, and every figure measured.

    Freed buffers are kept unless that was a tenth slower: three steps leave more to chance than it is worth to most.
    """
    threads = recipe.threads or usable_cpus()
    device = trial.images.device
    allocator = "kept" if can_keep_memory() and device.type == "cpu" else "system"
    if recipe.precision != "auto":
        asked = replace(trial.of_layout(recipe.precision, threads), allocator=allocator)
        if recipe.precision == "bf16" and (why := trial.fails(asked)):
            raise NetworkError(f"the network cannot be trained in bf16 ({why}); take --precision fp32")
        return asked, ()
    if device.type != "cpu":
        half = trial.of_layout("bf16", threads)
        return replace(half, precision="fp32") if trial.fails(half) else half, ()
    quick = trial.of_layout("fp32", threads)
    started = time.perf_counter()

    def is_left() -> bool:
        return time.perf_counter() - started < trial.seconds

    timed: list[Timed] = []
    for choice in _candidates(quick):
        try:
            timed.append(trial.time(choice))
        except Exception:  # the network's own
            if choice.precision != "bf16" or not trial.fails(choice):
                raise
        if not is_left():
            break
    best = _best(timed)
    kept = replace(best.choice, allocator=allocator)
    if not is_left():
        return kept, tuple(one.to_dict() for one in timed)  # no measurement has shown memory that is kept to cost time
    if allocator == "kept":
        timed.append(trial.time(kept))
        best = best if best.step_ms * WORTH < timed[-1].step_ms else timed[-1]
    if recipe.threads is None and threads > 1 and is_left():
        timed.append(trial.time(replace(best.choice, threads=1)))
        best = best if best.step_ms * WORTH_A_THREAD < timed[-1].step_ms else timed[-1]
    return best.choice, tuple(one.to_dict() for one in timed)


def _candidates(quick: Choice) -> list[Choice]:
    """Plain float32 first, from which the others must differ by enough to be worth it; `quick` has the best layout."""
    plain = replace(quick, layout="channels_first")
    choices = [plain] if plain == quick else [plain, quick]
    return [*choices, replace(quick, precision="bf16")] if has_fast_bf16() else choices


def _best(timed: list[Timed]) -> Timed:
    """The fastest, where it is worth leaving the first: plain float32."""
    fastest = min(timed, key=lambda one: one.step_ms)
    return fastest if fastest.step_ms * WORTH < timed[0].step_ms else timed[0]
