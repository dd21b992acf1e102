"""Two classifiers on the same pictures: how often they agree, and whether one is better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from convlens.errors import DataError

NUM_RESAMPLES = 10_000
SURE = 0.05  # p-value below which one is said to be better


@dataclass(frozen=True)
class Paired:
    """Shares are 0 to 1. `agreement`: the same answer, right or wrong. `difference` is second - first in accuracy.

    `p_value` is McNemar's, exact: how often as unequal a division of the pictures on which just one is right comes of
    chance alone. `low` and `high` bound the difference with 95 % confidence.
    """

    num_pictures: int
    agreement: float
    only_first_right: int
    only_second_right: int
    p_value: float
    difference: float
    low: float
    high: float

    @property
    def told_apart(self) -> bool:
        return self.p_value < SURE


def compare_predictions(first: ArrayLike, second: ArrayLike, truth: ArrayLike, *, seed: int = 0) -> Paired:
    """(N,) class numbers of two classifiers and the true ones -> Paired.

    McNemar 1947, https://doi.org/10.1007/BF02295996, by the binomial distribution; the interval is a bootstrap's
    (percentiles of 10,000 resamples of the pictures, each with both answers). DataError for other shapes.
    """
    one, two, true = (np.asarray(values) for values in (first, second, truth))
    if not one.shape == two.shape == true.shape or one.ndim != 1 or not len(one):
        shapes = f"predictions of {one.shape} and {two.shape} came for labels of {true.shape}"
        raise DataError(f"{shapes}; expected (N,) each")
    right_one, right_two = one == true, two == true
    only_first, only_second = int((right_one & ~right_two).sum()), int((right_two & ~right_one).sum())
    low, high = _interval(only_first, only_second, len(true), seed)
    return Paired(
        num_pictures=len(true),
        agreement=float((one == two).mean()),
        only_first_right=only_first,
        only_second_right=only_second,
        p_value=mcnemar(only_first, only_second),
        difference=(only_second - only_first) / len(true),
        low=low,
        high=high,
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value; 1.0 where they never differ."""
    from scipy.stats import binomtest

    different = only_first + only_second
    return float(binomtest(only_first, different, 0.5).pvalue) if different else 1.0


def _interval(only_first: int, only_second: int, num_pictures: int, seed: int) -> tuple[float, float]:
    """Drawing pictures with replacement is one multinomial draw: just the one right, just the other, or not so."""
    shares = [only_first / num_pictures, only_second / num_pictures]
    draws = np.random.default_rng(seed).multinomial(num_pictures, [*shares, 1 - sum(shares)], size=NUM_RESAMPLES)
    low, high = np.quantile((draws[:, 1] - draws[:, 0]) / num_pictures, [0.025, 0.975])
    return float(low), float(high)
