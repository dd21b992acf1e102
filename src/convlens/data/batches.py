"""Batches as a function of the step: nothing to rewind, so training resumes in the middle of an epoch."""

from __future__ import annotations

import copy
import math
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from convlens.data import geometry
from convlens.data.augment import FEWEST, crops, move, paint
from convlens.data.augmentation import Augment
from convlens.data.draws import Draws, batch_seed, permutation
from convlens.data.light import principal_colours
from convlens.data.mixing import draw_mixture, mixed, soft_labels
from convlens.data.threads import run_together, usable_cpus
from convlens.pictures import Preprocess

WORTH_THREADS = 1 << 20  # numbers of a batch


class Batches:
    """`batches(step)` -> ((B, C, H, W) float32 normalised, labels), the same for the same step always.

    Labels are (B,) int64; where pictures are mixed, (B, K) float32 of sum 1.
    """

    def __init__(
        self,
        pixels: Tensor,
        labels: Tensor,
        preprocess: Preprocess,
        ask: Augment,
        *,
        batch: int,
        seed: int,
        num_classes: int | None = None,
    ) -> None:
        ask.check(preprocess.channels, preprocess.size)
        self.pixels, self.labels = pixels, labels
        self.preprocess, self.augment = preprocess, ask
        self.batch = min(batch, len(labels))
        self.seed = seed
        self.num_classes = num_classes or int(labels.max()) + 1
        self._epoch, self._draws = -1, Draws(seed, -1, np.empty(0, np.int64))

    def on(self, device: torch.device) -> Batches:
        """The same batches, made where the network is: the set is copied there, as it is."""
        there = copy.copy(self)
        there.pixels, there.labels = self.pixels.to(device), self.labels.to(device)
        there._epoch = -1
        there.__dict__.pop("_colours", None)  # which are where the pixels are
        return there

    @property
    def num_bytes(self) -> int:
        """Of the set's pixels."""
        return self.pixels.numel() * self.pixels.element_size()

    @property
    def steps_per_epoch(self) -> int:
        """A short last batch is left to another epoch: it would make oneDNN compile its kernels again."""
        return max(1, len(self.labels) // self.batch)

    def __call__(self, step: int, size: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
        """`size`, where pictures grow as training goes on: the same pictures, reduced to it after all else is drawn."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            order = permutation(self.seed, epoch, len(self.labels))
            self._epoch, self._draws = epoch, Draws(self.seed, epoch, order, self.pixels.device)
        draws = self._draws.part(place * self.batch, (place + 1) * self.batch)
        chosen = torch.from_numpy(draws.indices).to(self.pixels.device, non_blocking=True)
        images = self._make(chosen, draws, None if size == self.preprocess.size else size)
        return self._mixed(images, self.labels[chosen], step)

    def _make(self, chosen: Tensor, draws: Draws, size: tuple[int, int] | None) -> Tensor:
        """(B, C, H, W) normalised; batches of large crops in pieces, on every thread, with the same bits."""
        pieces = min(torch.get_num_threads(), usable_cpus(), len(chosen) // FEWEST)
        numbers = len(chosen) * self.preprocess.channels * math.prod(self.preprocess.size)
        is_large = self.augment.zoom < 1 and numbers >= WORTH_THREADS
        if size is not None or not is_large or pieces < 2 or self.pixels.device.type != "cpu":
            return self._make_some(chosen, draws, size=size)
        made = self._room(len(chosen))
        parts = zip(chosen.tensor_split(pieces), draws.split(pieces), made.tensor_split(pieces), strict=True)
        run_together([partial(self._make_some, some, own, out=into) for some, own, into in parts])
        return made

    def _make_some(
        self, chosen: Tensor, draws: Draws, *, size: tuple[int, int] | None = None, out: Tensor | None = None
    ) -> Tensor:
        ask = self.augment
        if ask.only_crops and self.pixels.device.type == "cpu":
            made = self._room(len(chosen)) if out is None else out
            seen = crops(self.pixels, ask, draws, self.preprocess.size, chosen=chosen, out=made)
        else:
            moved = move(self.pixels, ask, draws, self.preprocess.size, chosen=chosen)
            seen = paint(moved, ask, draws, colours=self._colours, out=out)
        if size is not None:
            seen = geometry.reduced(seen, size)
        return self.preprocess.normalise(seen, in_place=True)

    def _room(self, count: int) -> Tensor:
        """For so many pictures, with channels in memory as the set's."""
        shape = (count, self.preprocess.channels, *self.preprocess.size)
        layout = torch.contiguous_format if self.pixels.is_contiguous() else torch.channels_last
        with torch.inference_mode(False):  # a mode of this thread alone, and others write here too
            return torch.empty(shape, memory_format=layout)

    @cached_property
    def _colours(self) -> Tensor | None:
        return principal_colours(self.pixels).to(self.pixels.device) if self.augment.lighting else None

    def _mixed(self, images: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        ask, seed = self.augment, batch_seed(self.seed, step)
        mixture = draw_mixture(ask.mixup, ask.cutmix, seed=seed, shape=images.shape, device=images.device)
        if mixture is None:
            return images, labels
        return mixed(images, mixture), soft_labels(labels, mixture, self.num_classes)
