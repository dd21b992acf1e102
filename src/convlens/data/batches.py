"""Batches as a function of the step: nothing to rewind, so training resumes in the middle of an epoch."""

from __future__ import annotations

import torch
from torch import Tensor

from convlens.data.augment import Augment, Draws, augment
from convlens.data.draws import permutation
from convlens.pictures import Preprocess


class Batches:
    """`batches(step)` -> ((B, C, H, W) float32 normalised, (B,) labels), the same for the same step always."""

    def __init__(
        self, pixels: Tensor, labels: Tensor, preprocess: Preprocess, ask: Augment, *, batch: int, seed: int
    ) -> None:
        self.pixels, self.labels = pixels, labels
        self.preprocess, self.augment = preprocess, ask
        self.batch = min(batch, len(labels))
        self.seed = seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    @property
    def steps_per_epoch(self) -> int:
        """A short last batch is left to another epoch: it would make oneDNN compile its kernels again."""
        return max(1, len(self.labels) // self.batch)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = torch.from_numpy(permutation(self.seed, epoch, len(self.labels)))
        chosen = self._order[place * self.batch : (place + 1) * self.batch]
        draws = Draws(self.seed, epoch, chosen.numpy())
        images = augment(self.pixels[chosen], self.augment, draws, self.preprocess.size)
        return self.preprocess.normalise(images), self.labels[chosen]
