"""Draws that belong to a picture."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.data import batch_seed, permutation, uniform


def test_a_picture_draws_the_same_in_any_batch():
    whole = uniform(3, 7, "flip", np.arange(100))
    assert (uniform(3, 7, "flip", np.array([42, 5])) == whole[[42, 5]]).all()


@pytest.mark.parametrize("other", [(4, 7, "flip"), (3, 8, "flip"), (3, 7, "shift")])
def test_seed_epoch_and_name_each_change_the_draws(other):
    indices = np.arange(1000)
    assert abs(np.corrcoef(uniform(3, 7, "flip", indices), uniform(*other, indices))[0, 1]) < 0.1


def test_draws_are_uniform():
    draws = uniform(0, 0, "any", np.arange(100_000))
    assert draws.min() >= 0 and draws.max() < 1
    counts, _ = np.histogram(draws, bins=20, range=(0, 1))
    assert abs(counts - 5000).max() < 350  # five standard deviations


def test_an_order_is_a_permutation_and_differs_between_epochs():
    first, second = permutation(0, 0, 500), permutation(0, 1, 500)
    assert sorted(first) == sorted(second) == list(range(500))
    assert (first != second).sum() > 450


def test_batch_seeds_differ_between_steps():
    assert len({batch_seed(0, step) for step in range(1000)}) == 1000


def test_no_two_of_seed_and_epoch_draw_alike():
    orders = {permutation(seed, epoch, 40).tobytes() for seed in range(20) for epoch in range(20)}
    assert len(orders) == 400
    assert len({batch_seed(seed, step) for seed in range(40) for step in range(40)}) == 1600
