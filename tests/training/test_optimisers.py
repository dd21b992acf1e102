"""Optimisers: AdamW and SGD are torch's, Muon turns a step to the closest orthonormal one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from convlens.training import Recipe
from convlens.training.optimisers import SGD, AdamW, Group, Lookahead, Muon, Optimiser, Rule
from convlens.training.optimisers.muon import orthogonalise
from convlens.training.rates import build_optimiser


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 1), nn.Flatten(), nn.Linear(24, 5)
    )
    return layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def walk(model: nn.Module, step: Callable[[], Any], steps: int = 6) -> list[torch.Tensor]:
    """Weights after some steps on the same pictures."""
    images = torch.randn(7, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        model.zero_grad()
        model(images).square().mean().backward()
        step()
    return [p.detach().clone() for p in model.parameters()]


@pytest.mark.parametrize(
    ("rule", "theirs"),
    [
        (AdamW(), lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1)),
        (SGD(), lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1)),
        (SGD(0.5, nesterov=False), lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.5, weight_decay=0.1)),
        (SGD(0.0), lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.1)),
    ],
)
def test_weights_move_as_those_of_torch_do(rule: Rule, theirs: Callable[..., torch.optim.Optimizer]) -> None:
    one, other = network(), network()
    ours = Optimiser([Group(list(one.parameters()), rule, weight_decay=0.1)])
    ours.set_rate(0.05)
    for ours_now, theirs_now in zip(
        walk(one, ours.step), walk(other, theirs(list(other.parameters())).step), strict=True
    ):
        torch.testing.assert_close(ours_now, theirs_now, rtol=1e-5, atol=1e-6)


def test_a_group_takes_its_share_of_the_rate() -> None:
    fast, slow = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimiser = Optimiser([Group([fast], SGD(0.0)), Group([slow], SGD(0.0), scale=0.1)])
    optimiser.set_rate(0.5)
    (fast.sum() + slow.sum()).backward()
    optimiser.step()
    assert fast.tolist() == [0.5, 0.5] and slow.tolist() == pytest.approx([0.95, 0.95])


def test_gradients_are_gone_after_a_step_and_what_had_none_stays() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimiser = Optimiser([Group([used, unused], AdamW(), weight_decay=0.5)])
    optimiser.set_rate(0.1)
    used.sum().backward()
    optimiser.step()
    assert used.grad is None and unused.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("shape", [(8, 24), (24, 8), (16, 16), (8, 3, 3, 3)])
def test_an_orthogonalised_step_has_singular_values_near_one_and_keeps_its_directions(shape: tuple[int, ...]) -> None:
    step = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    turned = orthogonalise(step, 5)
    assert turned.shape == step.shape
    values = torch.linalg.svdvals(turned.flatten(1))
    assert values.min() > 0.6 and values.max() < 1.3
    left, _, right = torch.linalg.svd(step.flatten(1), full_matrices=False)
    inside = left.T @ turned.flatten(1) @ right.T
    torch.testing.assert_close(inside, torch.diag(inside.diagonal()), atol=1e-4, rtol=0)


def test_a_step_orthogonalised_in_bf16_is_near_that_in_the_type_of_the_step() -> None:
    step = torch.randn(16, 40, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    exact, coarse = orthogonalise(step, 3), orthogonalise(step, 3, torch.bfloat16)
    assert exact.dtype == coarse.dtype == torch.float64
    difference = (exact - coarse).norm() / exact.norm()
    assert 1e-4 < difference < 0.05


@pytest.mark.parametrize("iterations", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("shape", [(8, 24), (24, 8), (8, 8), (8, 3, 3, 3)])
def test_an_orthogonalised_step_is_that_of_iterations_one_by_one(shape: tuple[int, ...], iterations: int) -> None:
    step = torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    one_by_one = step.flatten(1) / step.norm()
    for _ in range(iterations):
        gram = one_by_one @ one_by_one.T
        one_by_one = 3.4445 * one_by_one + (-4.7750 * gram + 2.0315 * gram @ gram) @ one_by_one
    for given in (step, step.contiguous(memory_format=torch.channels_last) if step.ndim == 4 else step.T.clone().T):
        torch.testing.assert_close(orthogonalise(given, iterations).flatten(1), one_by_one, rtol=0, atol=1e-10)


@pytest.mark.parametrize("iterations", [3, 10])
def test_a_step_in_bf16_does_not_grow_where_singular_values_are_small(iterations: int) -> None:
    generator = torch.Generator().manual_seed(6)
    left, right = (torch.linalg.qr(torch.randn(n, 64, generator=generator)).Q for n in (64, 216))
    step = (left * torch.arange(1.0, 65) ** -2) @ right.T
    assert torch.linalg.matrix_norm(orthogonalise(step, iterations, torch.bfloat16), 2) < 1.3


def test_on_the_sphere_every_bank_of_k_filters_starts_a_step_at_norm_root_k() -> None:
    filters = nn.Parameter(7 * torch.randn(9, 4, 3, 3))
    optimiser = Optimiser([Group([filters], Muon(0.6, on_sphere=True))])
    optimiser.set_rate(0.0)
    filters.sum().backward()
    optimiser.step()
    assert filters.norm().item() == pytest.approx(3.0)


def test_muon_turns_filters_and_leaves_classifier_norms_and_biases_to_adamw() -> None:
    model = network()
    optimiser = build_optimiser(model, Recipe(optimiser="muon", head_rate=2.0, bias_rate=3.0))
    optimiser.set_rate(1.0)
    found = {id(p): (type(group.rule), round(group.rate, 6)) for group in optimiser.groups for p in group.parameters}
    assert {name: found[id(p)] for name, p in model.named_parameters()} == {
        "0.weight": (Muon, 1.0),
        "1.weight": (AdamW, 0.3),
        "1.bias": (AdamW, 0.3),
        "3.weight": (Muon, 1.0),
        "3.bias": (AdamW, 0.3),
        "5.weight": (AdamW, 0.2),
        "5.bias": (AdamW, 0.6),
    }


def test_sgd_may_stand_beside_muon_at_its_rate() -> None:
    model = network()
    optimiser = build_optimiser(model, Recipe(optimiser="muon", beside_muon="sgd", head_rate=2.0, bias_rate=3.0))
    optimiser.set_rate(1.0)
    found = {id(p): (type(group.rule), group.rate) for group in optimiser.groups for p in group.parameters}
    assert found[id(model[0].weight)] == (Muon, 1.0) and found[id(model[1].bias)] == (SGD, 3.0)
    assert found[id(model[5].weight)] == (SGD, 2.0) and found[id(model[5].bias)] == (SGD, 6.0)


def test_lookahead_steps_back_towards_the_slow_weights_at_each_fifth_step() -> None:
    weight = nn.Parameter(torch.tensor([10.0]))
    optimiser = Lookahead([Group([weight], SGD(0.0))], 0.5)
    optimiser.set_rate(1.0)
    seen = []
    for _ in range(11):
        weight.sum().backward()
        optimiser.step()
        seen.append(weight.item())
    assert seen == [9, 8, 7, 6, 7.5, 6.5, 5.5, 4.5, 3.5, 5.0, 4.0]


def test_lookahead_leaves_alone_what_has_no_gradient() -> None:
    moved, frozen = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimiser = Lookahead([Group([moved, frozen], SGD())], 0.5)
    optimiser.set_rate(0.1)
    for _ in range(5):
        moved.sum().backward()
        optimiser.step()
    assert torch.equal(frozen, torch.ones(2)) and torch.all(moved < 1)


@pytest.mark.parametrize(
    "options", [{"optimiser": "adamw"}, {"optimiser": "sgd"}, {"optimiser": "muon"}, {"lookahead": 0.5}]
)
def test_state_that_was_saved_goes_on_to_the_same_weights(options: dict[str, Any]) -> None:
    recipe, whole, half = Recipe(**options), network(), network()
    ours = build_optimiser(whole, recipe)
    ours.set_rate(0.02)
    wanted = walk(whole, ours.step, 6)
    first = build_optimiser(half, recipe)
    first.set_rate(0.02)
    walk(half, first.step, 3)
    saved = {name: value.contiguous().clone() for name, value in first.tensors().items()}
    second = build_optimiser(half, recipe)
    second.restore(saved)
    second.set_rate(0.02)
    assert all(torch.equal(a, b) for a, b in zip(walk(half, second.step, 3), wanted, strict=True))
