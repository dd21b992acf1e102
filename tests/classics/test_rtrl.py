"""Gradients carried forwards, sent back, and those of autograd are one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from convlens.classics import Gradients, RealTime, bptt, rtrl
from convlens.errors import UsageError
from convlens.layers.recurrent import GRUCell, Recurrent, RNNCell

EXACT = {"atol": 1e-10, "rtol": 0.0}


def problem(sequences: int = 3, steps: int = 20, inputs: int = 4, hidden: int = 6) -> tuple[RNNCell, Tensor, Tensor]:
    """A cell whose gradients neither vanish nor explode, and the targets of all its states."""
    torch.manual_seed(1)
    cell = RNNCell(inputs, hidden).double()
    nn.init.orthogonal_(cell.u.weight, gain=1.1)
    nn.init.normal_(cell.w.bias)
    sequence = torch.randn(sequences, steps, inputs, dtype=torch.float64)
    return cell, sequence, torch.randn(sequences, steps, hidden, dtype=torch.float64)


def by_autograd(cell: RNNCell, sequence: Tensor, targets: Tensor) -> tuple[Gradients, Tensor]:
    """-> gradients of the sum of half the squared errors, and the errors."""
    states = Recurrent(cell)(sequence)
    loss = (states - targets).square().sum() / 2
    return Gradients(*torch.autograd.grad(loss, (cell.w.weight, cell.u.weight, cell.w.bias))), (
        states - targets
    ).detach()


@pytest.mark.parametrize("steps", [1, 2, 20, 100])
@pytest.mark.parametrize("hidden", [1, 6])
def test_rtrl_and_bptt_give_the_gradients_of_autograd(steps: int, hidden: int) -> None:
    cell, sequence, targets = problem(steps=steps, hidden=hidden)
    expected, errors = by_autograd(cell, sequence, targets)
    for method in (rtrl, bptt):
        for ours, theirs in zip(method(cell, sequence, errors), expected, strict=True):
            torch.testing.assert_close(ours, theirs, **EXACT)


def test_an_error_at_the_last_step_alone_reaches_back_to_the_first() -> None:
    cell, sequence, targets = problem()
    _, errors = by_autograd(cell, sequence, targets)
    errors[:, :-1] = 0
    for ours, theirs in zip(rtrl(cell, sequence, errors), bptt(cell, sequence, errors), strict=True):
        torch.testing.assert_close(ours, theirs, **EXACT)
    shorter = bptt(cell, sequence[:, -5:], errors[:, -5:])
    assert (shorter.w - bptt(cell, sequence, errors).w).abs().max() > 1e-3


def test_the_influence_of_each_weight_is_that_of_differences() -> None:
    cell, sequence, _ = problem(sequences=1, steps=5)
    running = RealTime(cell, 1)
    for x in sequence.unbind(1):
        running.step(x)
    place, small = (2, 3), 1e-6
    states = []
    for change in (small, -2 * small):
        cell.u.weight.data[place] += change
        states.append(Recurrent(cell)(sequence)[0, -1].detach())
    moved = (states[0] - states[1]) / (2 * small)
    torch.testing.assert_close(running.p[0, :, place[0], 4 + place[1]], moved, atol=1e-8, rtol=1e-6)


def test_a_cell_learns_while_it_runs_what_came_two_steps_before() -> None:
    """The XOR of the two inputs of two steps ago (Williams and Zipser, section 4.1), with no end to the sequence."""
    torch.manual_seed(0)
    cell, output = RNNCell(2, 12), nn.Linear(12, 1)
    optimiser = torch.optim.Adam([*cell.parameters(), *output.parameters()], lr=0.01)
    running = RealTime(cell, 16)
    bits = (torch.rand(1500, 16, 2) < 0.5).float()
    right: list[float] = []
    for t in range(2, len(bits)):
        h = running.step(2 * bits[t] - 1).requires_grad_()
        logits, truth = output(h)[:, 0], (bits[t - 2].sum(1) == 1).float()
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(logits, truth).backward()
        assert h.grad is not None
        running.gradients(h.grad).accumulate(cell)
        optimiser.step()
        running.h = h.detach()
        right.append(float(((logits > 0) == (truth > 0.5)).float().mean()))
    assert sum(right[:50]) / 50 < 0.65 and sum(right[-50:]) / 50 > 0.98


def test_gradients_are_added_to_those_that_are_there() -> None:
    cell, sequence, targets = problem()
    expected, errors = by_autograd(cell, sequence, targets)
    for _ in range(2):
        bptt(cell, sequence, errors).accumulate(cell)
    assert cell.w.bias.grad is not None
    torch.testing.assert_close(cell.w.bias.grad, 2 * expected.b)


def test_another_cell_or_shapes_that_do_not_fit_are_refused() -> None:
    cell, sequence, targets = problem()
    with pytest.raises(UsageError, match="the cell is GRUCell; RTRL and BPTT are written out for RNNCell"):
        rtrl(GRUCell(4, 6), sequence, targets)  # type: ignore[arg-type]
    for wrong in (sequence[:, :, :3], sequence[:, :5], sequence[:, :0]):
        with pytest.raises(UsageError, match=r"came with errors of \(3, 20, 6\); expected \(N, T, 4\) with T"):
            bptt(cell, wrong, targets)


@pytest.mark.parametrize("way", [rtrl, bptt])
def test_what_is_no_tensor_is_refused(way: Callable[..., Gradients]) -> None:
    cell, sequence, targets = problem()
    with pytest.raises(
        UsageError, match=r"sequence and errors came as ndarray and list; expected tensors, \(N, T, D\)"
    ):
        way(cell, sequence.detach().numpy(), targets.tolist())
