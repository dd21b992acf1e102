"""Smaller networks of the same family: width and resolution multipliers (MobileNet v1, sections 3.3 and 3.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

import convlens.zoo as room
from convlens.errors import UsageError
from convlens.layers import unallocated
from convlens.runs import Run
from convlens.workbench.design import Design


@dataclass(frozen=True)
class Way:
    """One way to make a run smaller: the new network's `width` and `resolution` (px); None leaves it as it is."""

    width: float | None = None
    resolution: int | None = None

    @property
    def label(self) -> str:
        """ "width0.5-160px", for names of runs."""
        width = "" if self.width is None else f"width{self.width:g}"
        return "-".join(part for part in (width, f"{self.resolution}px" if self.resolution else "") if part)


def check_way(run: Run, way: Way) -> None:
    """UsageError for what this run's network cannot have, before a picture is read."""
    if "name" not in run.manifest.architecture:
        raise UsageError(
            f"{run.path} holds a network of your own, which has no multipliers that are known here; build it smaller "
            "and train it with --network file.py:Class --teacher " + str(run.path)
        )
    described = room.Architecture.from_dict(run.manifest.architecture)
    options = room.entry(described.name).options
    if way.width is not None and "width" not in options:
        raise UsageError(
            f"{described.name} has no width multiplier; its family's options are {', '.join(options) or 'none'}"
        )
    if way.width is not None and not 0 < way.width <= 4:
        raise UsageError(f"--width came as {way.width:g}; expected a multiple of the paper's width, like 0.5")
    now = (float(described.options.get("width", 1.0)), max(run.preprocess.size))
    wanted = (now[0] if way.width is None else way.width, now[1] if way.resolution is None else way.resolution)
    if wanted == now:
        raise UsageError(f"{run.path} has width {now[0]:g} and {now[1]} px already; ask for less of one of them")
    with unallocated():
        _build(described, way)


def design_smaller(run: Run, way: Way, seed: int) -> tuple[Design, bool]:
    """The smaller network, and whether it begins with the run's weights.

    It does where only the resolution is another one and the weights fit: convolutions do not ask how large a picture
    is. Otherwise it begins anew, from the seed.
    """
    described = room.Architecture.from_dict(run.manifest.architecture)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _build(described, way)
    keeps = way.width is None and _fits(network, run.model)
    if keeps:
        network.load_state_dict(run.model.state_dict())
    digest = run.manifest.weights["sha256"][:16]
    preprocess = replace(run.preprocess, size=network.architecture.image_size)
    origin = f"{run.path} (sha256 {digest})" if keeps else "scratch"
    made = Design(
        network, described.name, network.architecture.to_dict(), preprocess, origin, False, has_statistics=True
    )
    return made, keeps


def _build(described: room.Architecture, way: Way) -> room.Network:
    options = dict(described.options)
    if way.width is not None:
        options["width"] = way.width
    size = described.image_size if way.resolution is None else _scaled(described.image_size, way.resolution)
    return room.create(
        described.name,
        num_classes=described.num_classes,
        in_channels=described.in_channels,
        image_size=size,
        **options,
    )


def _scaled(size: tuple[int, int], longest: int) -> tuple[int, int]:
    height, width = size
    return round(height * longest / max(size)), round(width * longest / max(size))


def _fits(network: nn.Module, trained: nn.Module) -> bool:
    def shapes(module: nn.Module) -> dict[str, torch.Size]:
        return {name: tensor.shape for name, tensor in module.state_dict().items()}

    return shapes(network) == shapes(trained)
