"""RBMs so small that every state can be counted."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from convlens.classics import RBM


def states(num_units: int) -> Tensor:
    """(2^num_units, num_units)"""
    return torch.tensor([*product((0, 1), repeat=num_units)], dtype=torch.float64)


def an_rbm(num_visible: int, num_hidden: int, scale: float = 1.0) -> RBM:
    """In float64, with weights and biases of this deviation."""
    rbm, draws = RBM(num_visible, num_hidden).double(), torch.Generator().manual_seed(7)
    for parameter in rbm.parameters():
        parameter.data.normal_(0, scale, generator=draws)
    return rbm
