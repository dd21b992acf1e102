"""From gathered pictures and a preprocessing to a training task: pixels, statistics, augmentation, class weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.data import Augment, Batches, Scan, decode_pixels, mean_and_std
from convlens.pictures import Preprocess
from convlens.training import Recipe, Task, Teacher
from convlens.workbench.gather import Gathered
from convlens.workbench.results import Progress, Tell, silent

PHOTOGRAPH = 65  # pixels a side; smaller pictures are shifted, larger ones cropped and lit
MARGIN = 8 / 7  # training photographs are kept up to so much larger than the network's input, for random crops
MEASURED_PICTURES = 500  # on which mean and std are measured


@dataclass(frozen=True)
class Lessons:
    """Decoded pictures and how they are shown to the network."""

    train_pixels: Tensor
    train_labels: Tensor
    val_pixels: Tensor
    val_labels: Tensor
    preprocess: Preprocess
    augment: Augment
    num_classes: int

    def batches(self, batch: int, seed: int) -> Batches:
        shown = (self.train_pixels, self.train_labels, self.preprocess, self.augment)
        return Batches(*shown, batch=batch, seed=seed, num_classes=self.num_classes)

    def task(self, recipe: Recipe, batch: int, facts: dict[str, Any], teacher: Teacher | None = None) -> Task:
        balance = class_balance(self.train_labels, self.num_classes) if recipe.class_weights else None
        batches = self.batches(batch, recipe.seed)
        return Task(batches, self.val_pixels, self.val_labels, self.preprocess, balance, facts, teacher)


def prepare(
    gathered: Gathered,
    preprocess: Preprocess,
    augment: Augment,
    recipe: Recipe,
    *,
    progress: Progress | None = None,
    tell: Tell = silent,
) -> Lessons:
    """Decode the train and val parts at the geometry that training reads them in.

    Where labels are shuffled, each picture gets that of another one, and there is nothing to validate.
    """
    train, val = gathered.splits.indices("train"), gathered.splits.indices("val")
    labels = gathered.images.labels[train]
    if recipe.shuffle_labels:
        labels = np.random.default_rng(recipe.seed).permutation(labels)
        val = val[:0]
        tell("the labels are shuffled: no validation, no temperature; the network learns these pictures by heart")
    crops = augment.zoom < 1
    kept = kept_for_crops(preprocess, gathered.scan) if crops else preprocess
    return Lessons(
        decode_pixels(gathered.images, train, kept, for_crops=crops, progress=progress, tell=tell),
        torch.from_numpy(labels),
        decode_pixels(gathered.images, val, preprocess, progress=progress),
        torch.from_numpy(gathered.images.labels[val]),
        preprocess,
        augment,
        gathered.num_classes,
    )


def kept_for_crops(preprocess: Preprocess, found: Scan) -> Preprocess:
    """Pictures from which crops are drawn are kept larger than the network's input, as far as they are larger."""
    margin = min(MARGIN, found.reduction(preprocess))
    height, width = (round(side * margin) for side in preprocess.size)
    return replace(preprocess, size=(height, width))


def with_statistics(preprocess: Preprocess, gathered: Gathered) -> Preprocess:
    """The same geometry with the training part's own mean and std per channel."""
    train = gathered.splits.indices("train")
    some = train[:: max(1, len(train) // MEASURED_PICTURES)]
    # whole pictures: a letterbox's ground is no part of the data
    mean, std = mean_and_std(decode_pixels(gathered.images, some, replace(preprocess, fit="resize")))
    return replace(preprocess, mean=mean, std=std)


def default_augment(preprocess: Preprocess) -> Augment:
    """Photographs are cropped, mirrored and lit, small pictures shifted; grey ones, often writing, never mirrored."""
    colour = preprocess.channels == 3
    if min(preprocess.size) < PHOTOGRAPH:
        return Augment(flip=colour, shift=max(1, min(preprocess.size) // (8 if colour else 16)))
    return Augment(flip=colour, zoom=0.35, brightness=0.2, contrast=0.2)


def check_augmentation(asked: bool | Mapping[str, Any]) -> None:
    """Raises UsageError for what no pictures can have, before any is read."""
    if not isinstance(asked, bool):
        Augment(flip=True).changed(asked)


def chosen_augment(asked: bool | Mapping[str, Any], preprocess: Preprocess) -> Augment:
    """Nothing, the defaults, or the defaults but for what is named."""
    if asked is False:
        return Augment()
    chosen = default_augment(preprocess).changed({} if asked is True else asked)
    chosen.check(preprocess.channels, preprocess.size)
    return chosen


def class_balance(labels: Tensor, num_classes: int) -> Tensor:
    """(K,) weights n / (K n_k), so that each class counts the same; 0 for a class without pictures."""
    counts = torch.bincount(labels, minlength=num_classes).float()
    return torch.where(counts > 0, len(labels) / (num_classes * counts.clamp(min=1)), torch.zeros_like(counts))
