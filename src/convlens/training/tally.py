"""What a training has counted so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Tally:
    """Sums over the current epoch, and what is known so far. Part of every checkpoint."""

    step: int = 0
    pictures: int = 0
    right: int = 0
    loss: float = 0.0
    steps: int = 0
    train_seconds: float = 0.0
    epoch_began: float = 0.0  # of train_seconds
    best_accuracy: float = -1.0
    best_loss: float | None = None  # None before the first validation
    best_step: int = 0
    spent_s: float = 0.0  # of a budget
    last_val: dict[str, float] = field(default_factory=dict)

    @property
    def speed(self) -> float:
        """Training pictures a second in this epoch, validation apart."""
        return self.pictures / max(self.train_seconds - self.epoch_began, 1e-9)

    def count(self, loss: float, logits: Tensor, labels: Tensor, seconds: float) -> None:
        """One more step; (N, K) logits, labels as (N,) classes or (N, K) shares."""
        self.step += 1
        self.steps += 1
        self.loss += loss
        self.pictures += len(labels)
        classes = labels if labels.ndim == 1 else labels.argmax(1)  # of mixed pictures, that of the larger share
        self.right += int((logits.argmax(1) == classes).sum())
        self.train_seconds += seconds

    def clear_epoch(self) -> None:
        self.pictures = self.right = self.steps = 0
        self.loss = 0.0
        self.epoch_began = self.train_seconds
