"""Looking at a training while it runs, from another thread: how far it is, its curves, its first filters as they form.

The training tells it between steps, four times a second at most, and copies what is shown: nothing is drawn from a
generator, no weight is touched, and nobody else reads the network. On digits with `lenet5` that costs what cannot be
told from the spread between two trainings (docs/training.md).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from convlens.runs import read_history

if TYPE_CHECKING:
    from convlens.training.loop import Training

Progress = Callable[[str, int, int, str], None]

EVERY_S = 0.25  # between two looks
FILTERS_S = 1.0  # between two copies of the first layer
PACE_S = 30.0  # over which the pace is told
MOST_POINTS = 512  # of the curve within epochs; where it is full, every second one goes


@dataclass(frozen=True)
class Reached:
    """`loss` and `accuracy` are those of the steps since the last look; `seconds` were spent in steps."""

    step: int
    total_steps: int
    epoch: float
    epochs: float
    loss: float | None
    accuracy: float | None
    images_per_second: float
    seconds: float
    seconds_left: float | None


class Watch:
    """What is known of one training; `version` grows with everything that is new. All threads may read it."""

    can_stop = True

    def __init__(self) -> None:
        self.version = 0
        self.name = ""  # of the run
        self.phase, self.words = "beginning", ""  # what is being done, and how far
        self.ended = False
        self.reached: Reached | None = None
        self.rows: list[dict[str, Any]] = []  # of the history
        self.points: list[Reached] = []
        self.filters: np.ndarray | None = None  # (K, C, h, w) float32
        self.filters_version = 0
        self._forward: Progress | None = None
        self._stop = threading.Event()
        self._first: nn.Parameter | None = None
        self._before = (0, 0, 0.0, 0)  # steps, pictures, loss and right answers at the last look
        self._pace: deque[tuple[float, int]] = deque()
        self._looked = self._copied = 0.0

    def beside(self, progress: Progress | None) -> Progress:
        """A `Progress` that hands on what it hears: the stages before the first step are told of too."""
        self._forward = progress
        return self._hear

    def _hear(self, stage: str, done: int, total: int, detail: str = "") -> None:
        if stage != "train" and (stage != self.phase or done == total or time.monotonic() - self._looked > EVERY_S):
            self._looked = time.monotonic()
            self.say(stage, f"{done:,} of {total:,}")
        if self._forward:
            self._forward(stage, done, total, detail)

    def say(self, phase: str, words: str, *, ended: bool = False) -> None:
        self.phase, self.words, self.ended = phase, words, ended or self.ended
        self.version += 1

    def stop(self) -> None:
        """Ask for what Ctrl-C asks for: the training saves itself after the step it is in."""
        self._stop.set()

    def close(self) -> None:
        """What watches in a thread of its own ends it here."""

    @property
    def stop_asked(self) -> bool:
        return self._stop.is_set()

    def begin(self, training: Training) -> None:
        self.name = training.task.facts["name"]
        self.rows = read_history(training.folder.history)
        self._first = first_weights(training.judged, training.input_shape)
        self._note(training, time.monotonic())
        self.say("train", "")

    def look(self, training: Training) -> None:
        """Between two steps; nearly always it is too early for another look."""
        now = time.monotonic()
        last = self.stop_asked or training.tally.step == training.plan.total_steps
        if last or now - self._looked >= EVERY_S:
            self._note(training, now)
            self.phase, self.words = "train", ""
            self.version += 1

    def end_epoch(self, row: dict[str, Any]) -> None:
        self.rows = [*self.rows, row]
        self.version += 1

    def _note(self, training: Training, now: float) -> None:
        self._looked = now
        self._pace.append((now, training.tally.step))
        while now - self._pace[0][0] > PACE_S:
            self._pace.popleft()
        self.reached = self._reached(training, now)
        if self.reached.loss is not None:
            self.points = [*(self.points[::2] if len(self.points) >= MOST_POINTS else self.points), self.reached]
        if self._first is not None and now - self._copied >= FILTERS_S:
            self._copied = now
            self.filters = as_filters(self._first, training.input_shape)
            self.filters_version += 1

    def _reached(self, training: Training, now: float) -> Reached:
        tally, plan = training.tally, training.plan
        counted = (tally.steps, tally.pictures, tally.loss, tally.right)
        before = self._before if tally.steps >= self._before[0] else (0, 0, 0.0, 0)  # another epoch has begun
        self._before = counted
        steps, pictures, loss, right = (new - old for new, old in zip(counted, before, strict=True))
        return Reached(
            step=tally.step,
            total_steps=plan.total_steps,
            epoch=round(tally.step / plan.steps_per_epoch, 3),
            epochs=round(plan.total_steps / plan.steps_per_epoch, 3),
            loss=loss / steps if steps else None,
            accuracy=right / pictures if pictures else None,
            images_per_second=round(tally.speed, 1) if tally.pictures else self._last_speed(),
            seconds=round(tally.train_seconds, 3),
            seconds_left=self._left(training, now),
        )

    def _last_speed(self) -> float:
        return float(self.rows[-1]["images_per_second"]) if self.rows else 0.0

    def _left(self, training: Training, now: float) -> float | None:
        """By the pace of the last half minute, validation and saving included; of a budget, what is left of it."""
        if training.budget is not None:
            return round(max(0.0, training.budget.seconds - training.budget.spent()), 1)
        (at, step), done = self._pace[0], training.tally.step
        if done == step:
            return None
        return round((training.plan.total_steps - done) * (now - at) / (done - step), 1)


def first_weights(network: nn.Module, shape: tuple[int, ...]) -> nn.Parameter | None:
    """The filters that see the pictures (C, H, W): of the first convolution, else of a first dense layer."""
    name = first_layer(network, shape)
    if name is None:
        return None
    weight = network.get_submodule(name).weight
    return weight if isinstance(weight, nn.Parameter) else None


def first_layer(network: nn.Module, shape: tuple[int, ...]) -> str | None:
    """Its name; None where no layer of weights sees the pictures as they are."""
    dense = int(np.prod(shape))
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            return name
        if isinstance(module, nn.Linear):
            return name if module.in_features == dense else None
    return None


def as_filters(weight: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """A copy as float32 (K, C, h, w); a dense layer's has the shape of the pictures."""
    copied = weight.detach().to("cpu", torch.float32, copy=True, memory_format=torch.contiguous_format)
    return (copied if copied.ndim == 4 else copied.view(-1, *shape)).numpy()
