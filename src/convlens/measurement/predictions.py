"""Predictions -> numbers: accuracy with its interval, each class, confusions, calibration. N pictures, K classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from convlens.errors import DataError, counted
from convlens.measurement.calibration import (
    CalibrationBin,
    calibration_bins,
    calibration_error,
    expected_calibration_error,
)
from convlens.measurement.logits import checked_labels, checked_logits, checked_temperature

NUM_RESAMPLES = 10_000


@dataclass(frozen=True)
class ClassScore:
    """One class; precision is 0.0 where it was never predicted, recall where it has no picture (support 0)."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Scores:
    """Shares are 0 to 1, `…_low` and `…_high` the ends of 95 % bootstrap intervals.

    `confusion[truth][prediction]` counts pictures; `loss` is the mean cross-entropy in nats. `untempered_…` is what it
    would be without the temperature.
    """

    num_pictures: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    top5_accuracy: float | None
    top5_low: float | None
    top5_high: float | None
    loss: float
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    expected_calibration_error: float
    calibration_bins: tuple[CalibrationBin, ...]
    temperature: float
    untempered_loss: float
    untempered_calibration_error: float

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and dicts, ready for JSON."""
        plain = asdict(self)
        plain["per_class"] = list(plain["per_class"])
        plain["calibration_bins"] = list(plain["calibration_bins"])
        plain["confusion"] = [list(row) for row in self.confusion]
        return plain


def score(logits: Any, labels: Any, classes: Sequence[str], *, temperature: float = 1.0, seed: int = 0) -> Scores:
    """Logits (N, K) and labels (N,) -> Scores.

    `top5_accuracy` is None up to five classes. DataError when logits are not finite or labels are no class of K.
    """
    from sklearn.metrics import accuracy_score

    values = checked_logits(logits)
    if values.shape[1] != len(classes):
        raise DataError(
            f"logits have {counted(values.shape[1], 'column')} for {counted(len(classes), 'class', 'classes')}; "
            "expected one for each class"
        )
    truth = checked_labels(labels, *values.shape)
    scaled = values / checked_temperature(temperature)
    confidence, predicted = torch.softmax(scaled, dim=1).max(dim=1)
    correct = (predicted == truth).numpy()
    bins = calibration_bins(confidence.numpy(), correct)
    low, high = bootstrap_interval(int(correct.sum()), len(correct), seed=seed)
    top5, top5_low, top5_high = _top5(values, truth, seed)
    return Scores(
        num_pictures=len(correct),
        accuracy=float(accuracy_score(truth.numpy(), predicted.numpy())),
        accuracy_low=low,
        accuracy_high=high,
        top5_accuracy=top5,
        top5_low=top5_low,
        top5_high=top5_high,
        loss=float(cross_entropy(scaled, truth)),  # of logits: scikit-learn's log_loss cuts probabilities off
        per_class=_per_class(truth.numpy(), predicted.numpy(), classes),
        confusion=_confusion(truth.numpy(), predicted.numpy(), len(classes)),
        expected_calibration_error=expected_calibration_error(bins),
        calibration_bins=bins,
        temperature=float(temperature),
        untempered_loss=float(cross_entropy(values, truth)),
        untempered_calibration_error=calibration_error(values, truth),
    )


def bootstrap_interval(num_correct: int, num_pictures: int, *, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of an accuracy.

    Drawing N pictures with replacement and counting the hits is one binomial draw, so 10,000 resamples cost no memory.
    With every picture right (or wrong) all resamples agree, so the exact binomial bound stands in (Clopper and
    Pearson 1934): N right answers in a row do not say that nothing can go wrong.
    """
    if num_correct in (0, num_pictures):
        reach = 0.025 ** (1 / num_pictures)
        return (reach, 1.0) if num_correct else (0.0, 1 - reach)
    draws = np.random.default_rng(seed).binomial(num_pictures, num_correct / num_pictures, size=NUM_RESAMPLES)
    low, high = np.quantile(draws / num_pictures, [0.025, 0.975])
    return float(low), float(high)


def _top5(values: Tensor, truth: Tensor, seed: int) -> tuple[float | None, float | None, float | None]:
    """-> the share whose class is among the five likeliest, and its interval."""
    if values.shape[1] <= 5:
        return None, None, None
    from sklearn.metrics import top_k_accuracy_score

    every = range(values.shape[1])
    right = int(top_k_accuracy_score(truth.numpy(), values.numpy(), k=5, labels=every, normalize=False))
    return right / len(truth), *bootstrap_interval(right, len(truth), seed=seed)


def _per_class(truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(truth, predicted, labels=range(len(classes)), zero_division=0)
    rows = zip(classes, *columns, strict=True)
    return tuple(ClassScore(str(name), float(p), float(r), float(f), int(n)) for name, p, r, f, n in rows)


def _confusion(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> tuple[tuple[int, ...], ...]:
    from sklearn.metrics import confusion_matrix

    matrix = confusion_matrix(truth, predicted, labels=range(num_classes))
    return tuple(tuple(row) for row in matrix.tolist())
