"""Fréchet's distance against its formula for normal distributions, and SciPy's square root of a matrix."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from convlens.classics import frechet_distance
from convlens.errors import DataError, UsageError


def written_out(one: np.ndarray, other: np.ndarray) -> float:
    first, second = np.cov(one.T), np.cov(other.T)
    means = one.mean(0) - other.mean(0)
    return float(means @ means + np.trace(first + second - 2 * np.real(sqrtm(first @ second))))


@pytest.mark.parametrize("num_features", [2, 5, 30])
def test_it_is_the_formula_with_another_square_root(num_features: int) -> None:
    draws = np.random.default_rng(num_features)
    one = draws.normal(size=(400, num_features)) @ draws.normal(size=(num_features, num_features))
    other = draws.normal(1, 2, size=(300, num_features))
    assert frechet_distance(one, other) == pytest.approx(written_out(one, other), rel=1e-6)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one), rel=1e-9)


def test_it_is_nothing_for_the_same_set_and_the_square_of_a_shift() -> None:
    one = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(one, one + 2) == pytest.approx(24, rel=1e-5)
    assert frechet_distance(one[:3], one[:3] + 1) == pytest.approx(6, rel=1e-4)  # covariances without full rank
    assert frechet_distance(one[:, :1], 3 * one[:, :1]) > 1


def test_features_of_unequal_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match=r"\(4, 3\) and \(4, 2\); expected"):
        frechet_distance(np.zeros((4, 3)), np.zeros((4, 2)))
    with pytest.raises(UsageError, match="at least 2 of each"):
        frechet_distance(np.zeros((1, 3)), np.zeros((4, 3)))


def test_damaged_features_are_refused_and_any_strides_taken() -> None:
    one = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(DataError, match="NaN or infinity"):
        frechet_distance(one, np.where(one > 1, np.nan, one))
    assert frechet_distance(one[::-1], one) == pytest.approx(0, abs=1e-9)
