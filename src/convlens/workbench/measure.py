"""`convlens measure`: what a network costs, layer by layer."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import convlens.zoo as room
from convlens.data import usable_cpus
from convlens.errors import UsageError
from convlens.layers import unallocated
from convlens.measurement import Latency, NetworkMeasure, measure_latency, measure_network
from convlens.runs import Run
from convlens.workbench.own_network import open_run


@dataclass(frozen=True)
class MeasureResult:
    """`latency` is None unless it was asked for; `input_shape` is (1, C, H, W)."""

    name: str
    input_shape: tuple[int, ...]
    network: NetworkMeasure
    latency: Latency | None


def measure(
    target: Run | nn.Module | str | Path,
    *,
    image_size: int | None = None,
    in_channels: int | None = None,
    num_classes: int | None = None,
    model_options: dict[str, Any] | None = None,
    latency: bool = False,
    batch: int = 1,
    network: str | None = None,
) -> MeasureResult:
    """Measure a run, a network of the zoo by name, or any module (with `image_size` and `in_channels`).

    Parameters, MACs, FLOPs, memory and receptive field are exact and need no weights; `latency` is timed here and now.
    `network` (file.py:Class) goes with a run of your own network.
    """
    _check_counts(image_size=image_size, in_channels=in_channels, num_classes=num_classes, batch=batch)
    if network is not None and not isinstance(target, nn.Module):
        target = open_run(target, network)
    name, built, shape = _resolve(target, image_size, in_channels, num_classes, model_options or {}, latency)
    measured = measure_network(built, shape)
    timed = None
    if latency:
        torch.set_num_threads(usable_cpus())
        timed = measure_latency(built, (batch, *shape[1:]))
    return MeasureResult(name, shape, measured, timed)


def _check_counts(**given: int | None) -> None:
    for name, value in given.items():
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} came as {value}; expected 1 or more")


def _resolve(
    target: Run | nn.Module | str | Path,
    image_size: int | None,
    in_channels: int | None,
    num_classes: int | None,
    options: dict[str, Any],
    real: bool,
) -> tuple[str, nn.Module, tuple[int, ...]]:
    if isinstance(target, nn.Module):
        return type(target).__name__, target, (1, in_channels or 3, image_size or 224, image_size or 224)
    if isinstance(target, Run) or Path(target).is_dir():
        run = target if isinstance(target, Run) else Run.load(target)
        side = (image_size, image_size) if image_size else run.preprocess.size
        network: nn.Module = run.model
        if image_size and "name" in run.manifest.architecture:  # another resolution may mean another stem
            found = room.Architecture.from_dict(run.manifest.architecture)
            network = room.build(
                room.Architecture(found.name, found.num_classes, found.in_channels, side, found.options)
            )
        return run.manifest.name, network, (1, run.preprocess.channels, *side)
    entry = room.entry(str(target))
    channels = in_channels or entry.in_channels
    # without latency nothing is computed, so no memory is needed for the weights either
    with torch.random.fork_rng(devices=[]), nullcontext() if real else unallocated():
        network = room.create(
            entry.name,
            num_classes=num_classes or entry.num_classes,
            in_channels=channels,
            image_size=image_size or entry.resolution,
            **options,
        )
    height, width = network.architecture.image_size
    return entry.name, network, (1, channels, height, width)
