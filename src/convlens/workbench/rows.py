"""Rows of numbers without a picture's shape, for a multi-layer perceptron: each is a picture one pixel high."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import convlens.zoo as room
from convlens import training
from convlens.data import Augment, divide
from convlens.pictures import Preprocess
from convlens.runs import Run
from convlens.workbench.claim import claim
from convlens.workbench.results import Progress
from convlens.workbench.task import Lessons

FEW = 100  # rows, below which none is kept for validation
EPOCHS, BATCH, RATE = 60, 32, 1e-2
VAL = 0.1


def train_on_rows(
    pixels: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    out: Path,
    *,
    epochs: int | None = None,
    options: dict[str, Any] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **recipe_options: Any,
) -> Run:
    """(N, F) uint8 and (N,) class numbers -> the run of a `mlp` in `out`; `options` are the network's, like hidden.

    One thread, float32 and nothing measured: the same rows give the same run.
    """
    started = time.monotonic()
    length = EPOCHS if epochs is None else epochs
    asked = {"epochs": length, "batch": BATCH, "learning_rate": RATE, "seed": seed, "threads": 1}
    recipe = training.recipe_from({**asked, "precision": "fp32", "augment": False, **recipe_options})
    network = _network(len(classes), pixels.shape[1], options or {}, seed)
    pictures = torch.from_numpy(np.ascontiguousarray(pixels))[:, None, None, :]  # (N, 1, 1, F)
    answers = torch.from_numpy(labels.astype(np.int64))
    parts = _parts(labels, seed)
    train, val = (torch.from_numpy(np.flatnonzero(parts == part)) for part in ("train", "val"))
    preprocess = Preprocess((1, pixels.shape[1]), "resize", 1, (0.5,), (0.25,))
    pair = (pictures[val], answers[val])
    lessons = Lessons(pictures[train], answers[train], *pair, preprocess, Augment(), len(classes))
    plan = training.first_plan(recipe, len(train), network, training.Setting(len(classes)))
    plan = replace(plan, threads=recipe.threads or 1)
    with ExitStack() as held:
        folder = claim(held, out)
        facts: dict[str, Any] = {"name": folder.path.resolve().name, "classes": list(classes), "weights": "scratch"}
        facts |= {"architecture": network.architecture.to_dict(), "preprocess": preprocess.to_dict()}
        facts |= {"data": None, "keep_pictures": False}
        task = lessons.task(recipe, plan.batch, facts)
        return training.fit(network, task, recipe, plan, folder, started=started, progress=progress)


def _network(num_classes: int, num_features: int, options: dict[str, Any], seed: int) -> room.Network:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        size = (1, num_features)
        architecture = room.Architecture("mlp", num_classes, 1, size, {"hidden": (100,), **options})
        return room.build(architecture)


def _parts(labels: np.ndarray, seed: int) -> np.ndarray:
    """(N,) train or val. Equal rows may go to both: in a table of few values all are equal to some other."""
    if len(labels) < FEW:
        return np.full(len(labels), "train")
    names = [str(number) for number in range(len(labels))]
    return divide(labels, names, seed=seed, fractions=(1 - VAL, VAL, 0.0))
