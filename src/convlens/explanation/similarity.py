"""How alike two maps are."""

from __future__ import annotations

import numpy as np


def likeness(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """(H, W) twice -> (magnitude of the rank correlation, overlap of the strongest tenths), both 0 to 1.

    A map turned into its negative is still like the first.
    """
    return abs(rank_correlation(first, second)), overlap_of_strongest(first, second)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's coefficient of two maps, ties at their mean rank; 0 when a map is the same everywhere."""
    a, b = (_ranks(x) - (x.size + 1) / 2 for x in (first, second))
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale > 0 else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, position, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[position])


def overlap_of_strongest(first: np.ndarray, second: np.ndarray, share: float = 0.1) -> float:
    """Intersection over union of the strongest `share` of the pixels of two maps; 0 when a map is flat."""
    a, b = ((x >= np.quantile(x, 1 - share)) & (x > x.min()) for x in (first, second))
    union = np.count_nonzero(a | b)
    return float(np.count_nonzero(a & b) / union) if union else 0.0
