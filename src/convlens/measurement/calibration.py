"""Can the probabilities be believed? Temperature scaling and calibration error.

Guo, Pleiss, Sun and Weinberger, 2017, https://arxiv.org/abs/1706.04599: one number T divides all logits; the order of
the classes, and so the accuracy, stays. N pictures, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.measurement.logits import check_finite, checked_labels, checked_logits, checked_temperature

LOWEST, HIGHEST = 0.05, 20.0
NUM_BINS = 15


@dataclass(frozen=True)
class CalibrationBin:
    """The pictures whose highest probability lies in (low, high]; means are 0.0 where count is 0."""

    low: float
    high: float
    confidence: float
    accuracy: float
    count: int


def probabilities(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """softmax(logits / T): (N, K) -> (N, K), rows sum to 1; the type stays, but half precision becomes float32.

    DataError for NaN and infinity.
    """
    values = logits if logits.dtype in (torch.float32, torch.float64) else logits.float()
    return torch.softmax(check_finite(values) / checked_temperature(temperature), dim=-1)


def fit_temperature(logits: Any, labels: Any) -> float:
    """The T in 0.05 to 20 with the smallest negative log-likelihood of the labels, softened as Platt (1999) did.

    With few mistakes a likelihood wants boundless confidence, so each label counts as (N + 1) / (N + 2) sure, the rest
    shared by the other classes: what N right answers in a row allow to claim. 1.0 for fewer than two pictures.
    The likelihood is convex in b = 1/T, so a Newton step held inside a shrinking bracket finds the one minimum.
    """
    values = checked_logits(logits)
    if len(values) < 2:
        return 1.0
    truth = checked_labels(labels, *values.shape)
    temperature = 1.0 / _best_inverse_temperature(values, _claimed(values, truth))
    return min(max(temperature, LOWEST), HIGHEST)


def _claimed(values: Tensor, truth: Tensor) -> Tensor:
    """(N,) mean logit under the softened labels."""
    num_pictures, num_classes = values.shape
    sure = (num_pictures + 1) / (num_pictures + 2)
    true = values.gather(1, truth[:, None]).squeeze(1)
    others = (values.sum(dim=1) - true) / (num_classes - 1) if num_classes > 1 else true
    return sure * true + (1 - sure) * others


def _best_inverse_temperature(values: Tensor, claimed: Tensor) -> float:
    low, high, b = 1.0 / HIGHEST, 1.0 / LOWEST, 1.0
    if _derivatives(values, claimed, low)[0] >= 0:
        return low
    if _derivatives(values, claimed, high)[0] <= 0:
        return high
    for _ in range(60):
        slope, curvature = _derivatives(values, claimed, b)
        low, high = (low, b) if slope > 0 else (b, high)
        step = b - slope / curvature if curvature > 0 else b
        new = step if low < step < high else (low * high) ** 0.5
        if slope == 0 or abs(new - b) <= 1e-10 * b:
            break
        b = new
    return b


def _derivatives(values: Tensor, claimed: Tensor, b: float) -> tuple[float, float]:
    """First and second derivative of the mean negative log-likelihood at b: E_p[z] - claimed and Var_p[z]."""
    p = torch.softmax(values * b, dim=1)
    mean = (p * values).sum(dim=1)
    variance = (p * (values - mean[:, None]).square()).sum(dim=1)
    return float((mean - claimed).mean()), float(variance.mean())


def calibration_error(logits: Any, labels: Any, temperature: float = 1.0) -> float:
    """The expected calibration error of softmax(logits / T): (N, K) logits and (N,) labels -> 0 (perfect) to 1."""
    values = checked_logits(logits)
    confidence, predicted = probabilities(values, temperature).max(dim=1)
    correct = predicted == checked_labels(labels, *values.shape)
    return expected_calibration_error(calibration_bins(confidence.numpy(), correct.numpy()))


def calibration_bins(confidence: np.ndarray, correct: np.ndarray) -> tuple[CalibrationBin, ...]:
    """(N,) highest probabilities and (N,) hits -> 15 bins of equal width over 0 to 1."""
    edges = np.linspace(0.0, 1.0, NUM_BINS + 1)
    places = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, NUM_BINS - 1)
    counts = np.bincount(places, minlength=NUM_BINS)
    share = np.maximum(counts, 1)
    confidences = np.bincount(places, weights=confidence, minlength=NUM_BINS) / share
    accuracies = np.bincount(places, weights=correct.astype(np.float64), minlength=NUM_BINS) / share
    rows = zip(edges[:-1], edges[1:], confidences, accuracies, counts, strict=True)
    return tuple(CalibrationBin(float(lo), float(hi), float(c), float(a), int(n)) for lo, hi, c, a, n in rows)


def expected_calibration_error(bins: tuple[CalibrationBin, ...]) -> float:
    """sum over bins of (share of the pictures) * |accuracy - confidence|; 0 is perfect."""
    total = sum(part.count for part in bins)
    return sum(part.count * abs(part.accuracy - part.confidence) for part in bins) / max(total, 1)
