"""The Hopfield network: its energy, its memory, and where that ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from convlens.classics import CRITICAL_LOAD, Hopfield, Projection, capacity, corrupted
from convlens.errors import DataError, UsageError


def signs(num: int, num_units: int, draws: torch.Generator) -> Tensor:
    return 2.0 * torch.randint(2, (num, num_units), generator=draws, dtype=torch.float64) - 1


def test_the_weights_are_sums_of_products_with_an_empty_diagonal() -> None:
    network = Hopfield(3).fit(torch.tensor([[1, 1, 0], [0, 1, 0]]))
    assert network.weights.tolist() == [[0, 0, 0], [0, 0, -2], [0, -2, 0]]


def test_no_update_of_any_unit_raises_the_energy(draws: torch.Generator) -> None:
    for kind in (Hopfield, Projection):
        network = kind(60).fit((signs(20, 60, draws) > 0).double())
        states = signs(30, 60, draws)
        energy, fell = network.energy(states), 0
        for unit in torch.randint(60, (400,), generator=draws).tolist():
            after = network.energy(network.update(states, unit))
            assert (after <= energy + 1e-9).all(), kind
            fell += int((after < energy - 1e-9).sum())
            energy = after
        assert fell > 100, kind


def test_the_energies_of_a_recall_fall_until_it_is_at_rest(ten_digits: Tensor) -> None:
    recall = Hopfield(64).fit(ten_digits).recall(corrupted(ten_digits, 0.2))
    assert (recall.energies.diff(dim=0) <= 0).all() and recall.settled.all()
    assert (recall.energies[-1] == recall.energies[-2]).all()


def test_a_unit_whose_sum_is_zero_stays() -> None:
    states = torch.tensor([[-1.0, 1.0, -1.0]], dtype=torch.float64)
    assert torch.equal(Hopfield(3).update(states.clone(), 0), states)


def test_random_patterns_are_recalled_from_a_fifth_of_wrong_bits(draws: torch.Generator) -> None:
    patterns = (signs(10, 300, draws) > 0).double()
    turned = corrupted(patterns, 0.2)
    assert 0.15 < (turned != patterns).double().mean() < 0.25
    assert torch.equal(Hopfield(300).fit(patterns).recall(turned).pictures, patterns)


def test_digits_that_are_alike_need_the_projection(ten_digits: Tensor) -> None:
    turned = corrupted(ten_digits.repeat(20, 1), 0.1)
    right = {
        kind: (kind(64).fit(ten_digits).recall(turned).pictures == ten_digits.repeat(20, 1)).double().mean().item()
        for kind in (Hopfield, Projection)
    }
    assert right[Projection] > 0.98 > 0.9 > right[Hopfield]
    at_rest = Projection(64).fit(ten_digits).recall(ten_digits)
    assert torch.equal(at_rest.pictures, ten_digits) and len(at_rest.energies) == 2


def test_the_projection_leaves_all_that_it_stores_at_rest(digits: Tensor, draws: torch.Generator) -> None:
    """Up to N - 1 patterns that none of the others make up, units of which no other tells among them."""
    thirty = (digits[:30] > 0.5).double()
    for num_units in range(4, 13):
        for _ in range(10):
            patterns = torch.randint(0, 2, (num_units - 1, num_units), generator=draws).double()
            if torch.linalg.matrix_rank(2 * patterns - 1) == num_units - 1:
                assert torch.equal(Projection(num_units).fit(patterns).recall(patterns).pictures, patterns)
    assert torch.linalg.matrix_rank(2 * thirty - 1) == 30
    assert torch.equal(Projection(64).fit(thirty).recall(thirty).pictures, thirty)


def test_pictures_of_any_kind_can_be_corrupted() -> None:
    for given in (torch.zeros(2, 5, dtype=torch.uint8), np.zeros((2, 5)), np.ones((2, 5), bool)[:, ::-1]):
        assert set(corrupted(given, 0.5, seed=1).unique().tolist()) == {0, 1}


def test_recall_breaks_down_about_the_load_of_the_theory() -> None:
    below, at, above = capacity([CRITICAL_LOAD - 0.038, CRITICAL_LOAD, CRITICAL_LOAD + 0.082], num_units=400)
    assert below.recalled > 0.97 and below.bits_right > 0.99
    assert 0.7 < at.recalled < 1 and 0.95 < at.bits_right < 0.995  # 0.984 in theory, for N without bound
    assert above.recalled < 0.15 and 0.65 < above.bits_right < 0.8
    assert [one.load for one in (below, at, above)] == [0.1, 0.1375, 0.22]


def test_recall_is_the_same_again_and_leaves_the_generator_of_torch_alone(ten_digits: Tensor) -> None:
    network, turned = Hopfield(64).fit(ten_digits), corrupted(ten_digits, 0.3, seed=5)
    state = torch.get_rng_state()
    assert torch.equal(network.recall(turned, seed=1).pictures, network.recall(turned, seed=1).pictures)
    assert not torch.equal(corrupted(ten_digits, 0.3, seed=5), corrupted(ten_digits, 0.3, seed=6))
    assert torch.equal(torch.get_rng_state(), state)
    assert capacity([0.2], num_units=50, seed=3) == capacity([0.2], num_units=50, seed=3)


def test_fit_forgets_what_was_stored_before(ten_digits: Tensor) -> None:
    network = Hopfield(64).fit(ten_digits).fit(ten_digits[:2])
    assert torch.equal(network.weights, Hopfield(64).fit(ten_digits[:2]).weights)


def test_more_patterns_than_bits_can_part_are_told_as_a_load_of_nothing() -> None:

    with pytest.raises(UsageError, match="at the least load is 0, expected a whole number of at least 1"):
        capacity([0.001], num_units=100)


def test_one_load_in_place_of_a_list_is_told() -> None:
    with pytest.raises(UsageError, match=r"loads came as 0\.1; expected a list"):
        capacity(0.1)  # type: ignore[arg-type]


def test_loads_may_be_an_array() -> None:
    assert capacity(np.array([0.1, 0.2]), num_units=50) == capacity([0.1, 0.2], num_units=50)


@pytest.mark.parametrize(
    ("pictures", "error", "text"),
    [
        (torch.tensor([[0, 255]], dtype=torch.uint8), DataError, "values from 0 to 255; expected 0 to 1: divide by"),
        (torch.tensor([[0.0, 0.5]]), DataError, "pictures hold greys; expected 0 and 1 alone"),
        (torch.tensor([[0.0, torch.nan]]), DataError, "pictures hold NaN or infinity"),
        (torch.tensor([[-1.0, 1.0]]), DataError, "values from -1 to 1; expected 0 to 1"),
        (torch.tensor([0.0, 1.0]), UsageError, r"shape \(2,\); expected \(N, 2\)"),
    ],
)
def test_only_zeros_and_ones_are_corrupted(pictures: Tensor, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        corrupted(pictures, 0.3)
