"""Draws that belong to a picture."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from convlens.data import batch_seed, permutation, uniform
from convlens.data.draws import Draws


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


def test_draws_keep_the_values_that_they_had():
    """A change here would change every training: SplitMix64 of seed, epoch, the name's CRC-32 and the index."""
    word = 2**64

    def mix(bits: int) -> int:
        bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 % word
        bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB % word
        return bits ^ (bits >> 31)

    golden = 0x9E3779B97F4A7C15
    bits = 0
    for part in (3, 7, zlib.crc32(b"flip")):
        bits = mix((bits + golden + part) % word)
    wanted = [(mix((bits + golden * (index + 1)) % word) >> 40) / (1 << 24) for index in (0, 5, 10**6)]
    assert uniform(3, 7, "flip", np.array([0, 5, 10**6])).tolist() == wanted


def test_normal_draws_have_mean_0_and_deviation_1():
    drawn = Draws(0, 0, np.arange(100_000)).normal("any").double()
    assert abs(drawn.mean()) < 0.02 and abs(drawn.std() - 1) < 0.02
    assert abs(drawn.pow(4).mean() - 3) < 0.15
    assert bool(drawn.isfinite().all())


def test_parts_of_a_batch_draw_what_the_whole_draws():
    draws = Draws(3, 7, np.arange(10) * 5)
    assert np.concatenate([part("flip") for part in draws.split(3)]).tolist() == draws("flip").tolist()
    assert [len(part.indices) for part in draws.part(8, 20).split(3)] == [1, 1, 0]


def test_a_part_of_a_part_draws_for_its_own_pictures_in_any_epoch():
    draws = Draws(3, 7, np.arange(10) * 5)
    few = draws.part(2, 9).part(1, 4)
    alone = Draws(3, 7, np.array([15, 20, 25]))
    assert few.indices.tolist() == [15, 20, 25]
    for name in ("flip", "flip", "other"):
        assert few(name).tolist() == alone(name).tolist()
    assert few.normal("n").tolist() == alone.normal("n").tolist()
    assert few.of_epoch(0)("flip").tolist() == Draws(3, 0, alone.indices)("flip").tolist() != few("flip").tolist()
