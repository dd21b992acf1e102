"""What steps gave: read at once from a CPU, and now and then from an accelerator, which is then waited for."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from convlens.training.tally import Tally

READ_S = 0.25  # an accelerator goes on by itself for so long before its losses are asked for


class Readings:
    """Losses and right answers of steps that may still be under way; `tally` counts those that were read."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.read_at = time.monotonic()
        self._unread: list[tuple[Tensor, Tensor, int]] = []

    def note(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """One more step; (N, K) logits without a graph, labels as (N,) classes or (N, K) shares."""
        classes = labels if labels.ndim == 1 else labels.argmax(1)  # of mixed pictures, that of the larger share
        self._unread.append((loss, (logits.argmax(1) == classes).sum(), len(labels)))
        self.tally.step += 1

    @property
    def due(self) -> bool:
        on_cpu = bool(self._unread) and self._unread[-1][0].device.type == "cpu"
        return on_cpu or time.monotonic() - self.read_at > READ_S

    def read(self) -> tuple[int, float] | None:
        """Count them; the first step whose loss was NaN or infinite, with that loss, where there is one."""
        if not self._unread:
            return None
        began, (losses, right, pictures) = time.monotonic(), zip(*self._unread, strict=True)
        rows = list(zip(torch.stack(losses).tolist(), torch.stack(right).tolist(), pictures, strict=True))
        self._unread.clear()
        for row in rows:
            self.tally.count(*row)
        self.read_at = time.monotonic()
        self.tally.train_seconds += self.read_at - began
        first = self.tally.step - len(rows)
        return next(((first + place, loss) for place, (loss, *_) in enumerate(rows) if not math.isfinite(loss)), None)
