"""`convlens measure`: what a network costs, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import convlens.zoo as room
from convlens.errors import UsageError
from convlens.graph import Graph, trace
from convlens.layers import unallocated
from convlens.layers.fake_quantised import unrounded
from convlens.measurement import NetworkMeasure, measure_network
from convlens.pictures import Preprocess
from convlens.reports import network_diagram
from convlens.runs import Run
from convlens.storage import write_text
from convlens.workbench.drawing_file import drawing_file
from convlens.workbench.own_network import load_network, open_run
from convlens.workbench.process import process_kept
from convlens.workbench.timing import BATCHES, Timing, time_network
from convlens.workbench.typed import typed


@dataclass(frozen=True)
class MeasureResult:
    """`latency` is None unless it was asked for, and so is `diagram`, its file; `input_shape` is (1, C, H, W).

    Of example inputs it is the shape of the first.
    """

    name: str
    input_shape: tuple[int, ...]
    network: NetworkMeasure
    latency: Timing | None
    diagram: Path | None = None


@typed
@process_kept()
def measure(
    target: Run | nn.Module | str | Path | None = None,
    *,
    image_size: int | None = None,
    in_channels: int | None = None,
    num_classes: int | None = None,
    model_options: dict[str, Any] | None = None,
    latency: bool = False,
    batch: int | Sequence[int] | None = None,
    diagram: str | Path | None = None,
    network: str | None = None,
    inputs: Tensor | tuple[Tensor | int, ...] | None = None,
) -> MeasureResult:
    """Measure a run, a network of the zoo by name, or any module (with `image_size` and `in_channels`).

    A module that reads no pictures takes `inputs`: an example, such as sentences of whole numbers, several in a tuple,
    or the whole shape of a float one.

    Parameters, MACs, FLOPs, memory and receptive field are exact and need no weights; `latency` is timed here and now,
    on each `batch` of pictures (1, 8 and 32) and from a file to probabilities. `diagram` is where a drawing of it goes,
    an SVG. `network` (file.py:Class) is measured in place of a target, or goes with a run of your own network.
    """
    asked = BATCHES if batch is None else batch
    batches = tuple(asked) if isinstance(asked, list | tuple | range) else (asked,)
    counts: dict[str, int | None] = {"image_size": image_size, "in_channels": in_channels, "num_classes": num_classes}
    drawn = drawing_file("--diagram", diagram)
    for one in batches or (0,):
        _check_counts(**counts, batch=one)
    if batch is not None and not latency:
        given = ",".join(map(str, batches))
        raise UsageError(f"--batch came as {given} without --latency, which it is for; add --latency, or leave it out")
    if target is None:
        target, num_classes = _of_a_file(network, num_classes, in_channels), None
    else:
        target = _opened(target, network)
    if inputs is not None:
        return _of_inputs(target, inputs, counts | {"option": model_options}, latency, drawn)
    name, built, shape = _resolve(target, image_size, in_channels, num_classes, model_options or {}, latency)
    graph, measured = _traced(built, shape)
    timed = time_network(built, shape[1:], _preprocess(target, shape), batches) if latency else None
    _draw(drawn, graph, measured)
    return MeasureResult(name, shape, measured, timed, drawn)


def _of_a_file(network: str | None, num_classes: int | None, in_channels: int | None) -> nn.Module:
    """As for the pictures and classes of ImageNet, where nothing else is asked."""
    if network is None:
        raise UsageError(
            "nothing came to be measured; give a run, a network of the zoo, or your own as --network file.py:Class"
        )
    return load_network(network, num_classes=num_classes or 1000, in_channels=in_channels or 3)


def _opened(target: Run | nn.Module | str | Path, network: str | None) -> Run | nn.Module | str | Path:
    if network is None:
        return Run.load(target) if isinstance(target, str | Path) and Path(target).is_dir() else target
    if isinstance(target, nn.Module) or target in room.names():
        what = "a module" if isinstance(target, nn.Module) else f"{target}, a network of the zoo"
        raise UsageError(f"--network {network} came with {what}; give it alone, or with a run of your own")
    return open_run(target, network)


def _of_inputs(target: Any, inputs: Any, others: dict[str, Any], latency: bool, drawn: Path | None) -> MeasureResult:
    """Of a module and what it reads, as it comes."""
    if not isinstance(target, nn.Module):
        raise UsageError(
            f"inputs came with {target!s:.80}, which reads pictures; they go with a module: leave them out"
        )
    _refuse({f"--{name.replace('_', '-')}": value or None for name, value in others.items()}, "inputs")
    if latency:
        raise UsageError("latency came with inputs, and is of pictures; time it with measurement.measure_latency")
    graph, measured = _traced(target, inputs)
    _draw(drawn, graph, measured)
    return MeasureResult(type(target).__name__, graph.input_shape, measured, None, drawn)


def _traced(network: nn.Module, inputs: Any) -> tuple[Graph, NetworkMeasure]:
    network = unrounded(network)
    graph = trace(network, inputs)
    return graph, measure_network(network, graph)


def _draw(drawn: Path | None, graph: Graph, measured: NetworkMeasure) -> None:
    if drawn is not None:
        write_text(drawn, network_diagram(graph, measured), option="--diagram")


def _preprocess(target: Run | nn.Module | str | Path, shape: tuple[int, ...]) -> Preprocess | None:
    """A run's own, at the size that is asked for; else to the middle of the range. None where it reads no pictures."""
    _, channels, height, width = shape
    if isinstance(target, Run):
        return replace(target.preprocess, size=(height, width))
    return (
        Preprocess((height, width), "crop", channels, (0.5,) * channels, (0.5,) * channels)
        if channels in (1, 3)
        else None
    )


def _check_counts(**given: int | None) -> None:
    for name, value in given.items():
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} came as {value!r}; expected a whole number of 1 or more")


def _refuse(asked: dict[str, Any], built: str) -> None:
    """UsageError for what only a network of the zoo can still be given."""
    if given := [name for name, value in asked.items() if value is not None]:
        raise UsageError(f"{', '.join(given)} came with {built}, which has its own; leave them out")


def _resolve(
    target: Run | nn.Module | str | Path,
    image_size: int | None,
    in_channels: int | None,
    num_classes: int | None,
    options: dict[str, Any],
    real: bool,
) -> tuple[str, nn.Module, tuple[int, ...]]:
    own = {"--in-channels": in_channels, "--num-classes": num_classes, "--option": options or None}
    if isinstance(target, nn.Module):
        _refuse({**own, "--in-channels": None}, "a module")
        return type(target).__name__, target, (1, in_channels or 3, image_size or 224, image_size or 224)
    if isinstance(target, Run):
        _refuse(own, str(target.path))
        side = (image_size, image_size) if image_size else target.preprocess.size
        network: nn.Module = target.model
        if image_size and "name" in target.manifest.architecture:  # another resolution may mean another stem
            found = room.Architecture.from_dict(target.manifest.architecture)
            anew = room.Architecture(found.name, found.num_classes, found.in_channels, side, found.options)
            network = target.pruned(room.build(anew))
        return target.manifest.name, network, (1, target.preprocess.channels, *side)
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
