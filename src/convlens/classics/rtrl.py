"""Two ways to the gradients of the vanilla recurrent network h = tanh(W x + U h' + b), both written out.

RTRL    real-time recurrent learning: Williams and Zipser, 1989, "A Learning Algorithm for Continually Running Fully
        Recurrent Neural Networks", https://doi.org/10.1162/neco.1989.1.2.270
BPTT    back-propagation through time: Werbos, 1990, https://doi.org/10.1109/5.58337

Both give the same numbers. With H units, D inputs and T steps of one sequence:

            memory                 multiplications               may learn
    BPTT    T H, all the states    T H (2 H + D + 1)             at the end of the sequence
    RTRL    H H (H + D + 1)        T (H + 1) H H (H + D + 1)     at every step, however long the sequence

N sequences run side by side; `error` is the derivative of the loss of a step by its h, (N, H).
Departures: tanh in place of the logistic function; inputs act at once, not a step later.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from convlens.errors import UsageError
from convlens.layers.recurrent import RNNCell


class Gradients(NamedTuple):
    """Of the loss, summed over sequences and steps: by W (H, D), by U (H, H) and by b (H)."""

    w: Tensor
    u: Tensor
    b: Tensor

    @classmethod
    def of(cls, whole: Tensor, inputs: int) -> Gradients:
        """(H, D + H + 1), a column for each number of z = (x, h', 1) -> the three parts."""
        return cls(whole[:, :inputs], whole[:, inputs:-1], whole[:, -1])

    def accumulate(self, cell: RNNCell) -> None:
        """Add them to the gradients of the cell, for an optimiser of torch."""
        for parameter, gradient in zip((cell.w.weight, cell.u.weight, cell.w.bias), self, strict=True):
            parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad + gradient


class RealTime:
    """A cell that runs on, and knows at every step how each of its weights has moved its state.

    p[n, k, i, j] = dh_k / dV_ij for V = (W, U, b), through all steps so far. From h_k = tanh(s_k), s = V z:

        p_kij = (1 - h_k^2) (sum_l U_kl p'_lij + [k = i] z_j),    p = 0 before the first step

    Nothing of the past is kept but h and p. The weights may change between steps: then p is that of a cell whose
    weights move slowly, as in the paper.
    """

    def __init__(self, cell: RNNCell, num_sequences: int) -> None:
        units, inputs = cell.w.weight.shape
        self.cell = cell
        self.h = cell.w.weight.new_zeros(num_sequences, units)
        self.p = self.h.new_zeros(num_sequences, units, units, inputs + units + 1)

    @torch.no_grad()
    def step(self, x: Tensor) -> Tensor:
        """(N, D) -> the new state, (N, H)."""
        self._check("a step", x, self.cell.w.in_features)
        z = torch.cat([x, self.h, x.new_ones(len(x), 1)], dim=1)
        (self.h,) = self.cell(x, (self.h,))
        p = torch.einsum("kl,nlij->nkij", self.cell.u.weight, self.p)
        p.diagonal(dim1=1, dim2=2).add_(z[:, :, None])  # [k = i] z_j: the diagonal has the shape (N, j, k)
        self.p = (1 - self.h.square())[:, :, None, None] * p
        return self.h

    @torch.no_grad()
    def gradients(self, error: Tensor) -> Gradients:
        """Of the loss of the present step."""
        self._check("an error", error, self.cell.hidden)
        return Gradients.of(torch.einsum("nk,nkij->ij", error, self.p), self.cell.w.in_features)

    def _check(self, what: str, given: Tensor, width: int) -> None:
        if not isinstance(given, Tensor) or given.shape != (len(self.h), width):
            came = f"with shape {tuple(given.shape)}" if isinstance(given, Tensor) else f"as {type(given).__name__}"
            raise UsageError(f"{what} came {came}; expected a tensor ({len(self.h)}, {width})")


def rtrl(cell: RNNCell, sequence: Tensor, errors: Tensor) -> Gradients:
    """(N, T, D) and the errors of all steps (N, T, H) -> gradients, carried forwards with the state."""
    _check(cell, sequence, errors)
    running = RealTime(cell, len(sequence))
    total: list[Tensor] | None = None
    for x, error in zip(sequence.unbind(1), errors.unbind(1), strict=True):
        running.step(x)
        now = running.gradients(error)
        total = list(now) if total is None else [a + b for a, b in zip(total, now, strict=True)]
    assert total is not None
    return Gradients(*total)


@torch.no_grad()
def bptt(cell: RNNCell, sequence: Tensor, errors: Tensor) -> Gradients:
    """The same from the last step back to the first: delta = (error + U^T delta of the step after) (1 - h^2)."""
    _check(cell, sequence, errors)
    states = [cell.start(sequence)[0]]
    for x in sequence.unbind(1):
        states += cell(x, (states[-1],))
    whole = sequence.new_zeros(cell.hidden, cell.w.in_features + cell.hidden + 1)
    delta = torch.zeros_like(states[0])
    for t in reversed(range(sequence.shape[1])):
        delta = (errors[:, t] + delta @ cell.u.weight) * (1 - states[t + 1].square())
        z = torch.cat([sequence[:, t], states[t], sequence.new_ones(len(sequence), 1)], dim=1)
        whole += delta.T @ z
    return Gradients.of(whole, cell.w.in_features)


def _check(cell: RNNCell, sequence: Tensor, errors: Tensor) -> None:
    if not isinstance(cell, RNNCell):
        raise UsageError(f"the cell is {type(cell).__name__}; RTRL and BPTT are written out for RNNCell")
    if not isinstance(sequence, Tensor) or not isinstance(errors, Tensor):
        came = f"{type(sequence).__name__} and {type(errors).__name__}"
        raise UsageError(f"sequence and errors came as {came}; expected tensors, (N, T, D) and (N, T, H)")
    shape = (*sequence.shape[:2], cell.hidden)
    if sequence.dim() != 3 or not sequence.shape[1] or sequence.shape[2] != cell.w.in_features or errors.shape != shape:
        raise UsageError(
            f"a sequence of {tuple(sequence.shape)} came with errors of {tuple(errors.shape)}; expected (N, T, "
            f"{cell.w.in_features}) with T of at least 1, and (N, T, {cell.hidden})"
        )
