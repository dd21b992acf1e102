"""What a smaller run gained and lost beside the run that it came from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from convlens.data import usable_cpus
from convlens.errors import DataError
from convlens.measurement import Latency, Paired, Scores, compare_predictions, measure_network, time_in_turn, told_apart
from convlens.runs import Run
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.same_pictures import answers_of


@dataclass(frozen=True)
class Size:
    """One of the two networks. `macs` are of one picture; `weight_bytes` those of parameters and buffers.

    `accuracy` (0 to 1) and its 95 % interval are on the pictures of the test part that neither was trained on, None
    where there are none; `latency` is of one picture in float32 by torch on this machine, measured in turn.
    """

    parameters: int
    macs: int
    weight_bytes: int
    latency: Latency
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None


Compared = tuple[Size, Size, Paired | None, int]


def both_measured(
    one: Run,
    two: Run,
    data: str | Path,
    data_dir: str | Path | None,
    *,
    progress: Progress | None = None,
    tell: Tell = silent,
) -> Compared:
    """-> the two sizes, their answers to the first one's test pictures that are new to both, how many these are."""
    scores: list[Scores | None] = [None, None]
    paired, num_pictures = None, 0
    try:
        answers = answers_of([one, two], data, data_dir=data_dir, progress=progress, tell=tell)
        scores, num_pictures = [*answers.scores], len(answers.labels)
        paired = compare_predictions(answers.predicted[0], answers.predicted[1], answers.labels)
    except DataError as error:
        tell(f"accuracy is not known: {error}")
    times = _times([one.model, two.model], one.input_shape, progress)
    sizes = [_size(run, *found) for run, found in zip((one, two), zip(scores, times, strict=True), strict=True)]
    return sizes[0], sizes[1], paired, num_pictures


def _size(run: Run, scores: Scores | None, latency: Latency) -> Size:
    found = measure_network(run.model, run.input_shape)
    judged = (None, None, None) if scores is None else (scores.accuracy, scores.accuracy_low, scores.accuracy_high)
    return Size(found.parameters, found.macs, found.weight_bytes, latency, *judged)


def _times(networks: list[nn.Module], shape: tuple[int, ...], progress: Progress | None) -> tuple[Latency, ...]:
    torch.set_num_threads(usable_cpus())
    picture = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    if progress:
        progress("time", 0, 1, "both in turn")
    times = time_in_turn([partial(_answer, network.eval(), picture) for network in networks], seconds=2.0)
    if progress:
        progress("time", 1, 1, "")
    return times


@torch.inference_mode()
def _answer(network: nn.Module, picture: torch.Tensor) -> None:
    network(picture)


def verdict_on(before: Size, after: Size, answers: Paired | None = None) -> str:
    """What did not get better comes first; a loss of accuracy is told where it is no chance."""
    smaller = after.weight_bytes < before.weight_bytes
    apart = told_apart(before.latency, after.latency)
    ratio = before.latency.p50_ms / after.latency.p50_ms
    size = f"{before.weight_bytes / after.weight_bytes:.2g} times smaller" if smaller else "not smaller"
    speed = f"{ratio:.2g} times as fast" if apart and ratio > 1 else "not faster on this machine"
    if apart and ratio < 1:
        speed = f"slower on this machine ({1 / ratio:.2g} times the time)"
    faster = apart and ratio > 1
    told = f"{speed}, {size}" if smaller and not faster else f"{size}, {speed}"
    if answers is not None and answers.told_apart:
        points = 100 * abs(answers.difference)
        told += f", {points:.2f} points {'more' if answers.difference > 0 else 'less'} accurate"
    return told
