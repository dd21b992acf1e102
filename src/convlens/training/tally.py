"""What a training has counted so far."""

from __future__ import annotations

from dataclasses import dataclass, field


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

    @property
    def line(self) -> str:
        """What is shown beside the progress."""
        val = f" val {self.last_val['val_accuracy']:.1%}" if self.last_val else ""
        if not self.steps:
            return val
        means = f"loss {self.loss / self.steps:.3f} accuracy {self.right / self.pictures:.0%}"
        return f"{means} {self.speed:,.0f} pictures/s{val}"

    def count(self, loss: float, right: int, pictures: int) -> None:
        """What one more step gave, in this epoch; `step` counts it as soon as it is made."""
        self.steps += 1
        self.loss += loss
        self.right += right
        self.pictures += pictures

    def clear_epoch(self) -> None:
        self.pictures = self.right = self.steps = 0
        self.loss = 0.0
        self.epoch_began = self.train_seconds
