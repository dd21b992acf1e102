"""A small task that trains in a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from convlens.data import Augment, Batches
from convlens.pictures import Preprocess
from convlens.runs import RunFolder
from convlens.training import Plan, Recipe, Task
from convlens.training.loop import Training
from convlens.training.schedule import Segment

PREPROCESS = Preprocess((8, 8), "crop", 1, (0.5,), (0.25,))
NUM_CLASSES = 3


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(144, NUM_CLASSES)
    )


def small_task(count: int = 96, balance: torch.Tensor | None = None) -> Task:
    """Class k is a bright row band at 2k, with noise."""
    labels = torch.arange(count) % NUM_CLASSES
    pixels = torch.randint(0, 60, (count, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    for place, label in enumerate(labels.tolist()):
        pixels[place, :, 2 * label : 2 * label + 2] += 150
    facts: dict[str, Any] = {
        "name": "small",
        "classes": ["a", "b", "c"],
        "architecture": {"network": "conftest.py:small_network"},
        "preprocess": PREPROCESS.to_dict(),
        "weights": "scratch",
        "keep_pictures": True,
        "data": None,
    }
    batches = Batches(pixels, labels, PREPROCESS, Augment(shift=1), batch=16, seed=0)
    return Task(batches, pixels[:24], labels[:24], PREPROCESS, balance, facts)


@pytest.fixture
def training(tmp_path: Path) -> Callable[..., Training]:
    """training(total_steps=12, network=…, **recipe) -> Training in a folder of its own, on one thread in float32."""

    def make(total_steps: int = 12, name: str = "run", network: nn.Module | None = None, **recipe: Any) -> Training:
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir(exist_ok=True)
        precision = recipe.get("precision", "fp32")
        plan = Plan(16, 6, 0.01, (Segment(0, 0.0, total_steps),), precision=precision)
        return Training(network or small_network(), small_task(), Recipe(**recipe), plan, folder)

    return make
