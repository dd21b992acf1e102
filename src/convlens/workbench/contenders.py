"""What is compared: a run with its scores, or a network of the zoo with its published accuracy."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

import convlens.zoo as room
from convlens.errors import counted
from convlens.layers import unallocated
from convlens.measurement import Scores
from convlens.runs import Run
from convlens.workbench.zoo import zoo as listed


@dataclass(frozen=True)
class Contender:
    """`accuracy` is 0 to 1; what was `judged_on` the same can be compared. `source`: measured here, or published."""

    name: str
    width: float
    input_shape: tuple[int, ...]  # (1, C, H, W)
    network: nn.Module
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    judged_on: str | None = None
    source: str | None = None
    file_bytes: int | None = None  # of a run's weights as they are stored


def of_run(run: Run, name: str, scores: Scores, data: str) -> Contender:
    width = float(run.manifest.architecture.get("options", {}).get("width", 1.0))
    shares = (scores.accuracy, scores.accuracy_low, scores.accuracy_high)
    pictures = f"{counted(scores.num_pictures, 'picture')} of {data}"
    size = run.weights_file.stat().st_size
    return Contender(name, width, run.input_shape, run.model, *shares, pictures, "measured here", size)


def of_network(name: str, *, real: bool, at: tuple[float, int] | None = None) -> Contender:
    """At its paper's width and resolution, or `at` others; `real`: with weights allocated, so that it can be timed."""
    known = room.entry(name)
    width, side = (1.0, known.resolution) if at is None else at
    options: dict[str, Any] = {"num_classes": known.num_classes, "in_channels": known.in_channels, "image_size": side}
    if at is not None:
        options["width"] = width
    with torch.random.fork_rng(devices=[]), nullcontext() if real else unallocated():
        torch.default_generator.manual_seed(0)
        network = room.create(known.name, **options)
    label = name if at is None else f"{name} {width:g}, {side} px"
    top1, judged_on, source = _published(known, at)
    shape = (1, known.in_channels, side, side)
    return Contender(label, width, shape, network.eval(), top1, judged_on=judged_on, source=source)


def _published(known: room.Entry, at: tuple[float, int] | None) -> tuple[float | None, str | None, str | None]:
    """-> accuracy, what it was judged on, its source: of the network as `convlens zoo` has it, or of a table's row."""
    facts = room.FACTS[known.name]
    top1, source = facts.top1, facts.accuracy_source
    if at is not None:
        rows = [row for row in room.MULTIPLIERS if (row.network, row.width, row.image_size) == (known.name, *at)]
        if rows and (rows[0].top1 is not None or at != (1.0, known.resolution)):
            top1, source = rows[0].top1, rows[0].accuracy_source
    if top1 is None:
        return None, None, None
    return top1, f"{facts.data_set}, {facts.protocol}", f"published: {source}"


def of_pattern(pattern: str, *, real: bool) -> list[Contender]:
    """Every network that matches, at each width and resolution of its table, the widest and largest first."""
    found = []
    for row in listed(pattern).networks:
        rows = {(one.width, one.image_size) for one in room.MULTIPLIERS if one.network == row.name}
        if not rows:
            found.append(of_network(row.name, real=real))
        for at in sorted(rows | {(1.0, row.resolution)} if rows else rows, reverse=True):
            found.append(of_network(row.name, real=real, at=at))
    return found
