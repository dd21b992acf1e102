"""`convlens bench`: what this machine trains in what time: published recipes, and networks of the zoo."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import convlens.zoo as room
from convlens import training
from convlens.data import usable_cpus
from convlens.errors import RunError, UsageError, counted, unknown_name
from convlens.training.recipes import RECORDS, Record, record_named
from convlens.workbench.process import process_kept
from convlens.workbench.results import Progress
from convlens.workbench.typed import typed

BATCH = 32
DEFAULT = ("mnist",)  # ten seconds
COMMAND = (sys.executable, "-m", "convlens.cli")


@dataclass(frozen=True)
class RecipeTimes:
    """`accuracies`, one a seed, are of the set's test part; `training_s` is in steps, `whole_s` the command's time.

    `tta` is the test-time augmentation that the recipe is scored with.
    """

    name: str
    data: str
    accuracies: tuple[float, ...]
    training_s: tuple[float, ...]
    whole_s: tuple[float, ...]
    tta: str = "none"

    @property
    def accuracy(self) -> float:
        return statistics.mean(self.accuracies)

    @property
    def deviation(self) -> float | None:
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None


@dataclass(frozen=True)
class NetworkSpeed:
    """Pictures a second in training, on batches of `input_shape`."""

    name: str
    input_shape: tuple[int, ...]
    throughput: training.Throughput
    device: str = "cpu"

    @property
    def way(self) -> str:
        way = self.throughput.choice
        where = f"{counted(way.threads, 'thread')}, memory {way.allocator}" if self.device == "cpu" else self.device
        return f"{way.precision}, {way.layout}, {where}"


@dataclass(frozen=True)
class BenchResult:
    machine: dict[str, Any]
    recipes: tuple[RecipeTimes, ...]
    networks: tuple[NetworkSpeed, ...]


@typed
@process_kept()
def bench(
    names: Sequence[str] = (),
    *,
    seeds: int | None = None,
    batch: int | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> BenchResult:
    """Train recipes and time networks, by name; the recipe for MNIST where none is named.

    Each training of a recipe is a process of its own, as a user starts it, and its run is dropped. Run it with nothing
    else on the machine. `seeds` (1) and `data_dir` are for recipes, `batch` (32) for networks; `device` is that of
    `train`. UsageError for a name that is neither, for a device that is not here, and for what is given and would
    change nothing; RunError where a training fails.
    """
    names = _checked_names(names)
    _check_used(names, seeds, batch, data_dir)
    on = training.choose_device(device)
    torch.set_num_threads(usable_cpus())
    recipes, networks = [], []
    for number, name in enumerate(names):
        if progress:
            progress("bench", number, len(names), name)
        if name in RECORDS:
            recipes.append(_trained(record_named(name), seeds or 1, data_dir, on))
        else:
            networks.append(_timed(name, batch or BATCH, on))
    if progress:
        progress("bench", len(names), len(names), "")
    return BenchResult(training.describe_machine(), tuple(recipes), tuple(networks))


def _checked_names(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in RECORDS and name not in room.names():
            raise unknown_name("recipe or network", name, (*RECORDS, *room.names()), "see convlens zoo")
    return tuple(names) or DEFAULT


def _check_used(names: Sequence[str], seeds: int | None, batch: int | None, data_dir: str | Path | None) -> None:
    recipe, network = any(name in RECORDS for name in names), any(name not in RECORDS for name in names)
    asked: tuple[tuple[str, Any, int | None, bool, str], ...] = (
        ("--seeds", seeds, 1, recipe, "recipe"),
        ("--batch", batch, 2, network, "network"),
        ("--data-dir", data_dir, None, recipe, "recipe"),
    )
    for option, value, least, used, kind in asked:
        if value is not None and least is not None and value < least:
            raise UsageError(f"{option} came as {value!r}; expected a whole number of {least} or more")
        if value is not None and not used:
            raise UsageError(f"{option} came as {value} without a {kind}, which it is for; name one, or leave it out")


def _trained(record: Record, seeds: int, data_dir: str | Path | None, device: torch.device) -> RecipeTimes:
    more = [] if data_dir is None else ["--data-dir", str(data_dir)]
    rows = [_one_seed(record, seed, device, more) for seed in range(seeds)]
    accuracies, in_steps, whole = zip(*rows, strict=True)
    return RecipeTimes(record.name, record.data, accuracies, in_steps, whole, record.tta)


def _one_seed(record: Record, seed: int, device: torch.device, more: list[str]) -> tuple[float, float, float]:
    with TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        began = time.perf_counter()
        how = ("--recipe", record.name, "--seed", str(seed), "--device", str(device))
        _answer("train", record.data, *how, "--out", str(run), *more)
        whole = time.perf_counter() - began
        in_steps = json.loads((run / "run.json").read_text())["metrics"]["train_seconds"]
        scored = _answer("evaluate", str(run), record.data, "--tta", record.tta, *more)
        return scored["scores"]["accuracy"], in_steps, round(whole, 3)


def _answer(*command: str) -> dict[str, Any]:
    done = subprocess.run([*COMMAND, *command, "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        *_, last = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
        reason = last.removeprefix("convlens: ")
        raise RunError(f"convlens {command[0]} {command[1]} failed: {reason}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _timed(name: str, batch: int, device: torch.device) -> NetworkSpeed:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        known = room.entry(name)
        network = room.create(name, num_classes=known.num_classes, in_channels=known.in_channels)
        shape = (batch, known.in_channels, *network.architecture.image_size)
        images, labels = torch.randn(shape).to(device), (torch.arange(batch) % known.num_classes).to(device)
    return NetworkSpeed(name, shape, training.training_throughput(network, images, labels), str(device))
