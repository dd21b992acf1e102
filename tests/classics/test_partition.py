"""log Z of an RBM: by all states, and annealed."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from convlens.classics import DBN, RBM, exact_log_partition, log_likelihood, log_partition
from convlens.classics.partition import betas
from convlens.errors import UsageError

from .small import an_rbm, states


def test_the_exact_log_partition_is_the_sum_over_all_pairs_of_states_from_either_side() -> None:
    for sizes in ((6, 3), (3, 6)):
        rbm = an_rbm(*sizes)
        visible, hidden = states(sizes[0]), states(sizes[1])
        energies = torch.cat([rbm.energy(v.expand(len(hidden), -1), hidden) for v in visible])
        assert exact_log_partition(rbm) == pytest.approx((-energies).logsumexp(0).item(), abs=1e-10)


def test_probabilities_of_all_pictures_add_up_to_one() -> None:
    rbm = an_rbm(6, 3)
    assert log_likelihood(rbm, states(6), exact_log_partition(rbm)).exp().sum().item() == pytest.approx(1, abs=1e-10)


def test_annealing_finds_the_exact_value_within_its_own_error() -> None:
    """Three standard errors miss once in several hundred; all five seeds hit, and together they lie about the truth."""
    rbm = an_rbm(8, 5)
    exact = exact_log_partition(rbm)
    estimates = [log_partition(rbm, torch.full((1, 8), 0.5), temperatures=500, seed=seed) for seed in range(5)]
    assert all(one.low <= exact <= one.high and one.high - one.low < 0.3 for one in estimates)
    assert sum(one.value for one in estimates) / 5 == pytest.approx(exact, abs=0.04)


def test_annealing_is_right_for_an_rbm_of_digits(digits: Tensor) -> None:
    rbm = RBM(64, 14).fit(digits, epochs=20)
    estimate = log_partition(rbm, digits, temperatures=2000)
    assert estimate.low <= exact_log_partition(rbm) <= estimate.high
    assert estimate.high - estimate.low < 0.2


def test_more_temperatures_err_less(digits: Tensor) -> None:
    rbm = an_rbm(8, 5, 2.0)
    few, many = (log_partition(rbm, torch.full((1, 8), 0.5), temperatures=number) for number in (20, 1000))
    assert many.high - many.low < (few.high - few.low) / 2


def test_an_error_larger_than_the_value_has_no_lower_end() -> None:
    estimate = log_partition(an_rbm(30, 10, 5.0), torch.full((1, 30), 0.5), chains=5, temperatures=10)
    assert estimate.low == -math.inf and estimate.high > estimate.value


def test_the_ladder_is_that_of_the_paper() -> None:
    ladder = betas(14_500)
    assert len(ladder) == 14_501 and ladder[0] == 0 and ladder[-1] == 1
    assert [ladder.index(0.5), ladder.index(0.9)] == [500, 4500]
    assert all(a < b for a, b in pairwise(ladder))


def test_the_same_seed_estimates_the_same() -> None:
    rbm, half = an_rbm(8, 5), torch.full((1, 8), 0.5)
    one, two, other = (log_partition(rbm, half, chains=5, temperatures=50, seed=seed) for seed in (1, 1, 2))
    assert one == two != other


def test_layers_too_large_for_the_exact_sum_are_told() -> None:
    with pytest.raises(UsageError, match="the smaller layer has 21 units; expected at most 20: estimate with"):
        exact_log_partition(RBM(30, 21))


def test_what_is_no_rbm_is_told() -> None:
    with pytest.raises(UsageError, match="a DBN came; expected an RBM"):
        exact_log_partition(DBN(6, 4, 3))  # type: ignore[arg-type]
