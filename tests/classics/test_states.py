"""What a classic is asked of states of its units: which tensors fit, and what is said of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from convlens.classics import DBN, RBM, BoltzmannMachine, Hopfield, RealTime
from convlens.errors import UsageError
from convlens.layers.recurrent import RNNCell

ZEROS, RIGHT, DOUBLE = torch.zeros(2, 5), torch.zeros(2, 6), torch.zeros(2, 6, dtype=torch.float64)
# fmt: off
ASKED: dict[str, tuple[Callable[[], Any], str]] = {
    "free energy":    (lambda: RBM(6, 4).free_energy(ZEROS),             r"visible units came as \(2, 5\) .*, 6\)"),
    "whole numbers":  (lambda: RBM(6, 4).free_energy(RIGHT.long()),      r"of torch.int64; .* of torch.float32"),
    "float64":        (lambda: RBM(6, 4).free_energy(DOUBLE),            r"of torch.float64; .* of torch.float32"),
    "array":          (lambda: RBM(6, 4).hidden_given(np.zeros((2, 6))), r"visible units came as ndarray; expected"),
    "energy":         (lambda: RBM(6, 4).energy(RIGHT, ZEROS),           r"hidden units came as \(2, 5\) .*, 4\)"),
    "up":             (lambda: RBM(6, 4).hidden_given(ZEROS),            r"visible units came as \(2, 5\) .*, 6\)"),
    "down":           (lambda: RBM(6, 4).visible_given(ZEROS),           r"hidden units came as \(2, 5\) .*, 4\)"),
    "down, classes":  (lambda: DBN(6, 4, num_classes=2).rbms[-1].visible_given(ZEROS), r"hidden units .*, 4\)"),
    "Boltzmann":      (lambda: BoltzmannMachine(6).energy(RIGHT),        r"of torch.float32; .* of torch.float64"),
    "Hopfield":       (lambda: Hopfield(6).energy(ZEROS.double()),       r"signs came as \(2, 5\) .*, 6\)"),
    "one step":       (lambda: Hopfield(6).update(RIGHT, 0),             r"signs came as .* of torch.float64"),
    "which unit":     (lambda: Hopfield(6).update(DOUBLE, 6),            r"unit is 6; expected one from 0 to 5"),
    "joined, a list": (lambda: BoltzmannMachine(2, joined=[[0, 1], [1, 0]]), r"joined came as list; expected a tensor"),
    "joined, array":  (lambda: BoltzmannMachine(2, joined=~np.eye(2, dtype=bool)), r"ndarray; expected a tensor"),
    "start":          (lambda: RBM(6, 4).samples(2, steps=1, start=3),   r"pictures came as int; expected a tensor"),
    "seed":           (lambda: RBM(6, 4).samples(2, seed=2**70),         r"seed is 11\d+; expected .* below 2\*\*63"),
    "real time":      (lambda: RealTime(RNNCell(3, 5), 2).step(torch.zeros(4, 3)), r"a step .*\(4, 3\).* \(2, 3\)"),
    "errors":         (lambda: RealTime(RNNCell(3, 5), 2).gradients(torch.zeros(2, 4)), r"error .*\(2, 4\).* \(2, 5\)"),
}
# fmt: on


@pytest.mark.parametrize("case", ASKED)
def test_states_that_do_not_fit_are_refused_in_one_line(case: str) -> None:
    ask, text = ASKED[case]
    with pytest.raises(UsageError, match=text):
        ask()


def test_a_single_state_and_batches_of_batches_fit() -> None:
    rbm = RBM(6, 4)
    assert rbm.free_energy(RIGHT[0]).shape == () and rbm.free_energy(RIGHT.expand(3, 2, 6)).shape == (3, 2)
