"""The RBM: its energies, its learning, its samples."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from convlens.classics import RBM, contrastive_divergence, exact_log_partition, log_likelihood
from convlens.errors import UsageError

from .small import an_rbm, states


def test_the_free_energy_is_the_sum_over_hidden_states() -> None:
    rbm, visible, hidden = an_rbm(5, 4), states(5), states(4)
    by_enumeration = torch.stack([-(-rbm.energy(v.expand(16, -1), hidden)).logsumexp(0) for v in visible])
    torch.testing.assert_close(rbm.free_energy(visible), by_enumeration, atol=1e-10, rtol=0)


def test_the_conditional_chances_are_those_of_the_energy() -> None:
    rbm, visible, hidden = an_rbm(3, 2), states(3), states(2)
    joint = torch.stack([(-rbm.energy(v.expand(4, -1), hidden)).exp() for v in visible])  # (8, 4)
    torch.testing.assert_close(rbm.hidden_given(visible), (joint @ hidden) / joint.sum(1, keepdim=True))
    torch.testing.assert_close(rbm.visible_given(hidden), (joint.T @ visible) / joint.sum(0)[:, None])


def exact_gradient(rbm: RBM, data: Tensor) -> list[Tensor]:
    all_states = states(rbm.sizes[0]).to(data)
    likelihood = (-rbm.free_energy(data)).mean() - (-rbm.free_energy(all_states)).logsumexp(0)
    return list(torch.autograd.grad(likelihood, (rbm.weights, rbm.visible_bias, rbm.hidden_bias)))


def cosine(one: list[Tensor], other: list[Tensor]) -> float:
    flat = [torch.cat([each.flatten() for each in gradient]) for gradient in (one, other)]
    return torch.cosine_similarity(*flat, dim=0).item()


def test_contrastive_divergence_points_the_way_of_the_exact_gradient_and_more_steps_come_nearer(
    draws: torch.Generator,
) -> None:
    rbm, data = an_rbm(6, 4), torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1.0]], dtype=torch.float64)
    exact = exact_gradient(rbm, data)
    found = {}
    for k in (1, 30):
        gradient, chains = contrastive_divergence(rbm, data.repeat(5000, 1), k, draws)
        found[k] = cosine(exact, list(gradient))
        assert chains is None
    assert found[1] > 0.7 and found[30] > 0.99 and found[30] > found[1]


def test_chains_that_persist_reach_the_exact_gradient_one_step_at_a_time(draws: torch.Generator) -> None:
    rbm, data = an_rbm(6, 4), torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1.0]], dtype=torch.float64)
    chains: Tensor | None = data.repeat(2000, 1)
    walked = [chains]
    for _ in range(40):
        gradient, chains = contrastive_divergence(rbm, data, 1, draws, chains)
        walked.append(chains)
    assert cosine(exact_gradient(rbm, data), list(gradient)) > 0.99
    moved = [(a != b).double().mean().item() for a, b in pairwise(walked)]
    assert all(0 < share < 0.5 for share in moved)  # each step goes on from the one before
    assert walked[-1].shape == (4000, 6)


@pytest.mark.parametrize("persistent", [False, True], ids=["cd", "pcd"])
def test_learning_raises_the_likelihood_of_a_small_distribution(persistent: bool) -> None:
    """Bars of 3 x 3 px, in rows or in columns: 14 pictures, so that no model can give them more than -log 14."""
    rows = states(3)
    bars = torch.cat([rows.repeat_interleave(3, 1), rows.repeat(1, 3)]).unique(dim=0).repeat(20, 1)
    assert len(bars.unique(dim=0)) == 14
    rbm = RBM(9, 12).double()
    before = log_likelihood(rbm, bars, exact_log_partition(rbm)).mean().item()
    rbm.fit(bars, epochs=600, batch=70, learning_rate=0.1, weight_decay=0, k=5, persistent=persistent, seed=1)
    after = log_likelihood(rbm, bars, exact_log_partition(rbm)).mean().item()
    assert before < -6.2
    assert -3.5 < after < -2.63


def test_an_rbm_of_digits_reconstructs_held_out_ones_and_better_than_before(digits: Tensor) -> None:
    heard: list[float] = []
    rbm = RBM(64, 60).fit(digits[:1500], epochs=15, batch=25, progress=lambda *told: heard.append(float(told[3][21:])))
    held_out = digits[1500:]
    error = (rbm.reconstruct(held_out) - held_out).square().mean().item()
    assert len(heard) == 15 and heard[-1] < 0.6 * heard[0]
    of_the_mean = (digits[:1500].mean(0) - held_out).square().mean().item()
    assert error < 0.45 * of_the_mean


def test_samples_have_the_means_of_the_model() -> None:
    rbm, visible = an_rbm(5, 4, 0.7), states(5)
    chances = (-rbm.free_energy(visible)).softmax(0)
    drawn = rbm.samples(4000, steps=50, seed=3)
    torch.testing.assert_close(drawn.mean(0), (chances @ visible).detach(), atol=0.03, rtol=0)
    pairs = drawn.T @ drawn / len(drawn)
    assert drawn.shape == (4000, 5) and ((drawn > 0) & (drawn < 1)).all()
    assert pairs[0, 1].item() == pytest.approx((chances @ (visible[:, 0] * visible[:, 1])).item(), abs=0.05)


def test_chains_begin_where_they_are_told_to() -> None:
    rbm = an_rbm(5, 4)
    rbm.weights.data *= 20  # so that chains hardly move
    ones = torch.ones(50, 5, dtype=torch.float64)
    torch.testing.assert_close(
        rbm.samples(50, steps=1, seed=1, start=ones), rbm.samples(50, steps=1, seed=2, start=ones), atol=0.1, rtol=0
    )
    with pytest.raises(UsageError, match="start has 50 pictures, and 3 samples are asked for; expected one for each"):
        rbm.samples(3, start=ones)


@pytest.mark.parametrize("persistent", [False, True], ids=["cd", "pcd"])
def test_the_same_seed_learns_the_same_whatever_was_learned_before(digits: Tensor, persistent: bool) -> None:
    torch_state = torch.get_rng_state()
    one, two = RBM(64, 10), RBM(64, 10).fit(digits[500:700], epochs=1, seed=9)
    for rbm in (one, two):
        assert rbm.fit(digits[:205], epochs=2, seed=3, persistent=persistent) is rbm
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    two.fit(digits[:205], epochs=2, seed=4, persistent=persistent)
    assert not torch.equal(one.weights, two.weights)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert torch.equal(one.samples(3, steps=5, seed=1), one.samples(3, steps=5, seed=1))


def test_pixels_that_never_change_do_no_harm(digits: Tensor) -> None:
    flat = digits[:100].clone()
    flat[:, :10], flat[:, 10:20] = 0, 1
    rbm = RBM(64, 8).fit(flat, epochs=3)
    assert all(parameter.isfinite().all() for parameter in rbm.parameters())
