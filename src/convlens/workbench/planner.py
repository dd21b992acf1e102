"""`--model auto`: which network at which resolution, so that a time budget suffices.

The candidates stand from the largest to the smallest; each is timed on this machine, and the first that sees the
pictures often enough in the time is taken.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F

import convlens.zoo as room
from convlens.data import usable_cpus
from convlens.training import Choice

LEAST_S = 5.0  # in less time no candidate is timed: the smallest is taken
PROBING = 0.05  # share of the time after which no further candidate is timed
ASSUMED_BUDGET_S = 300.0  # when no length was asked for
SMALL_SIDE = 64  # pixels; up to here a picture is small

Table = list[tuple[str, int | None, dict[str, Any]]]

# fmt: off
#                  network              resolution  options
GREY: Table  = [("resnet18",              None, {"width": 0.5}),
                ("resnet18",              None, {"width": 0.25}),
                ("lenet5",                None, {})]
SMALL: Table = [("resnet18",              None, {}),
                ("resnet18",              None, {"width": 0.5}),
                ("resnet18",              None, {"width": 0.25}),
                ("lenet5",                None, {})]
PHOTO: Table = [("resnet18",              192,  {"width": 0.5}),
                ("resnet18",              160,  {"width": 0.5}),
                ("resnet18",              128,  {"width": 0.5}),
                ("resnet18",              128,  {"width": 0.25}),
                ("resnet18",               96,  {"width": 0.25})]
TUNED: Table = [("mobilenet_v3_large",    224,  {}),
                ("mobilenet_v3_small",    224,  {}),
                ("mobilenet_v3_small",    160,  {})]
# fmt: on


@dataclass(frozen=True)
class Candidate:
    name: str
    image_size: int
    options: dict[str, Any] = field(default_factory=dict)


def wanted_epochs(num_pictures: int, *, tuned: bool) -> float:
    """How often a network should see the pictures: seldom where there are many, or where its weights are tuned ones."""
    return max(2.0, min(30.0, 100_000 / num_pictures)) / (4 if tuned else 1)


def candidates(side: int, channels: int, *, tuned: bool) -> list[Candidate]:
    """For pictures of this side (the resolution asked for, or the pictures' own)."""
    if tuned:
        table = TUNED
    elif side <= SMALL_SIDE:
        table = GREY if channels == 1 else SMALL
    else:
        table = PHOTO
    return [Candidate(name, size or side, options) for name, size, options in table]


def choose_candidate(
    offered: list[Candidate], *, num_pictures: int, channels: int, num_classes: int, seconds: float, tuned: bool
) -> tuple[Candidate, tuple[dict[str, Any], ...]]:
    """The first candidate that fits the time, else the fastest; and what was measured."""
    measured: list[dict[str, Any]] = []
    began = time.perf_counter()
    if seconds < LEAST_S:
        return offered[-1], ()
    for candidate in offered:
        if time.perf_counter() - began > PROBING * seconds:
            return offered[-1], tuple(measured)  # too slow a machine, or too short a time, to look any longer
        speed = training_speed(candidate, channels, num_classes)
        epochs = speed * seconds / num_pictures
        measured.append({**candidate.__dict__, "images_per_second": round(speed, 1), "epochs": round(epochs, 1)})
        if epochs >= wanted_epochs(num_pictures, tuned=tuned):
            return candidate, tuple(measured)
    fastest = max(range(len(offered)), key=lambda i: float(measured[i]["images_per_second"]))
    return offered[fastest], tuple(measured)


def training_speed(candidate: Candidate, channels: int, num_classes: int) -> float:
    """Training pictures a second, from two steps on noise after one to warm up."""
    batch = 32 if candidate.image_size <= SMALL_SIDE else 8
    with torch.random.fork_rng(devices=[]):
        network = room.create(
            candidate.name,
            num_classes=num_classes,
            in_channels=channels,
            image_size=candidate.image_size,
            **candidate.options,
        )
        choice = Choice("fp32", "channels_last", usable_cpus())
        images = torch.randn(batch, channels, candidate.image_size, candidate.image_size)
        images = images.contiguous(memory_format=choice.memory_format)
        laid_out = choice.laid_out(network).train()
        labels = torch.zeros(batch, dtype=torch.int64)
        times = []
        for _ in range(3):
            began = time.perf_counter()
            F.cross_entropy(laid_out(images), labels).backward()
            times.append(time.perf_counter() - began)
    return batch / min(times[1:])
