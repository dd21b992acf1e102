"""The Boltzmann machine: exact where it can be, sampled beside it, and what it learns."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from convlens.classics import RBM, BoltzmannMachine
from convlens.errors import UsageError

PARITY = torch.tensor([[a, b, a ^ b] for a, b in product((0, 1), repeat=2)], dtype=torch.float64)
ENCODER = torch.eye(4, dtype=torch.float64).repeat(1, 2)  # two groups of four that must say the same


def through_two_hidden_units() -> Tensor:
    """Pairs of the 4-2-4 encoder: within each group, and between groups and hidden units, but not between groups."""
    joined = torch.ones(10, 10, dtype=torch.bool).fill_diagonal_(False)
    joined[:4, 4:8] = joined[4:8, :4] = False
    return joined


def test_the_log_likelihood_is_that_of_a_sum_written_out() -> None:
    machine = BoltzmannMachine(2, 1)
    w, b = machine.weights.tolist(), machine.biases.tolist()

    def weight(s: tuple[int, ...]) -> float:
        pairs = sum(w[i][j] * s[i] * s[j] for i in range(3) for j in range(i))
        return math.exp(pairs + sum(x * y for x, y in zip(b, s, strict=True)))

    z = sum(weight(s) for s in product((0, 1), repeat=3))
    for v in product((0, 1), repeat=2):
        expected = math.log(sum(weight((*v, h)) for h in (0, 1)) / z)
        assert machine.log_likelihood(torch.tensor([v])).item() == pytest.approx(expected, abs=1e-12)


def test_the_divergence_is_exact_whatever_the_shares_are() -> None:
    machine = BoltzmannMachine(2, 1)
    rows = torch.tensor([[0, 0], [0, 1], [1, 1]])
    times = torch.tensor([1, 2, 4])
    shares = times.double() / 7
    expected = (shares * (shares.log() - machine.log_likelihood(rows))).sum().item()
    assert machine.divergence(rows.repeat_interleave(times, 0)) == pytest.approx(expected, abs=1e-14)


def test_the_gradient_is_that_of_finite_differences() -> None:
    machine, pictures = BoltzmannMachine(4, 2).requires_grad_(False), torch.tensor([[1, 0, 1, 1], [0, 0, 1, 0]])
    machine.biases.normal_(generator=torch.Generator().manual_seed(1))
    gradient, step = machine.gradient(pictures), 1e-5

    def mean_at(parameter: Tensor, places: list[tuple[int, ...]], by: float) -> float:
        for place in places:
            parameter[place] += by
        value = machine.log_likelihood(pictures).mean().item()
        for place in places:
            parameter[place] -= by
        return value

    for i in range(6):
        rise = mean_at(machine.biases, [(i,)], step) - mean_at(machine.biases, [(i,)], -step)
        assert gradient.biases[i].item() == pytest.approx(rise / (2 * step), abs=1e-8)
        for j in range(i):
            both = [(i, j), (j, i)]
            rise = mean_at(machine.weights, both, step) - mean_at(machine.weights, both, -step)
            assert gradient.weights[i, j].item() == pytest.approx(rise / (2 * step), abs=1e-8)


def test_pairs_that_are_not_joined_never_have_a_weight() -> None:
    machine = BoltzmannMachine(8, 2, joined=through_two_hidden_units()).fit(ENCODER, epochs=5)
    assert (machine.weights[~machine.joined] == 0).all() and (machine.weights[machine.joined] != 0).all()
    assert torch.equal(machine.weights, machine.weights.T)


def test_the_sampled_gradient_points_the_way_of_the_exact_one() -> None:
    machine = BoltzmannMachine(3, 2)
    pictures = torch.tensor([[1, 1, 0], [1, 0, 0]])
    exact, sampled = machine.gradient(pictures), machine.sampled_gradient(pictures, chains=4000, sweeps=20)
    for ours, theirs in zip(exact, sampled, strict=True):
        torch.testing.assert_close(theirs, ours, atol=0.03, rtol=0)  # a standard error is below 0.008
        assert ours.abs().max() > 0.3


def test_samples_come_as_often_as_their_probabilities_say() -> None:
    machine = BoltzmannMachine(3, 1).fit(PARITY, epochs=60)
    states = torch.tensor([*product((0, 1), repeat=3)], dtype=torch.float64)
    drawn = machine.samples(4000, sweeps=60, seed=1)
    shares = torch.stack([(drawn == state).all(1).double().mean() for state in states])
    torch.testing.assert_close(shares, machine.log_likelihood(states).exp().detach(), atol=0.04, rtol=0)


def test_a_hidden_unit_learns_parity_which_pairs_alone_cannot() -> None:
    """No pair of parity's bits is correlated, so that without hidden units all eight states stay alike: log 2."""
    assert BoltzmannMachine(3).fit(PARITY, epochs=300).divergence(PARITY) == pytest.approx(math.log(2), abs=0.01)
    for seed in range(3):
        machine = BoltzmannMachine(3, 1).fit(PARITY, epochs=500, seed=seed)
        assert 0 < machine.divergence(PARITY) < 0.1


def test_two_hidden_units_carry_the_code_of_the_encoder() -> None:
    """As in the paper, each of the four gets a code of its own; from some seeds two share one, and 0.36 nats stay."""
    heard: list[str] = []
    machine = BoltzmannMachine(8, 2, joined=through_two_hidden_units())
    machine.fit(ENCODER, epochs=500, seed=2, progress=lambda *told: heard.append(told[3]))
    assert heard[0].startswith("divergence ") and float(heard[0].split()[1]) > 2
    assert machine.divergence(ENCODER) < 0.05
    fields = ENCODER @ machine.weights[:8, 8:] + machine.biases[8:]
    assert len({tuple(row) for row in (fields > 0).tolist()}) == 4


def test_without_pairs_inside_the_layers_it_is_an_rbm() -> None:
    rbm, joined = RBM(4, 3).double(), torch.zeros(7, 7, dtype=torch.bool)
    joined[:4, 4:] = joined[4:, :4] = True
    machine = BoltzmannMachine(4, 3, joined=joined).requires_grad_(False)
    machine.biases.normal_(generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        rbm.weights.copy_(machine.weights[:4, 4:])
        rbm.visible_bias.copy_(machine.biases[:4])
        rbm.hidden_bias.copy_(machine.biases[4:])
    pictures = torch.tensor([*product((0, 1), repeat=4)], dtype=torch.float64)
    expected = -rbm.free_energy(pictures) - (-rbm.free_energy(pictures)).logsumexp(0)
    torch.testing.assert_close(machine.log_likelihood(pictures), expected, atol=1e-12, rtol=0)


def test_the_same_seed_learns_the_same() -> None:
    one, two = (BoltzmannMachine(3, 2).fit(PARITY, epochs=20, seed=4) for _ in range(2))
    assert torch.equal(one.weights, two.weights)
    assert not torch.equal(one.weights, BoltzmannMachine(3, 2).fit(PARITY, epochs=20, seed=5).weights)


def test_too_many_units_for_a_sum_over_all_states_are_told() -> None:
    machine = BoltzmannMachine(12, 5)
    with pytest.raises(UsageError, match="there are 17 units; sums over all states take at most 16: use samples"):
        machine.log_likelihood(torch.zeros(1, 12))
    assert machine.samples(3, sweeps=2).shape == (3, 12)


def test_pairs_that_are_not_pairs_are_told() -> None:
    with pytest.raises(UsageError, match=r"joined came as \(2, 2\) of torch.bool"):
        BoltzmannMachine(3, joined=torch.zeros(2, 2, dtype=torch.bool))
    one_way = torch.zeros(3, 3, dtype=torch.bool)
    one_way[0, 1] = True
    with pytest.raises(UsageError, match="joined joins a unit with itself, or one with another that is not joined"):
        BoltzmannMachine(3, joined=one_way)
