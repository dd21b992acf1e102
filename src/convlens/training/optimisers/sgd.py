"""Stochastic gradient descent with momentum, Nesterov's by default (Sutskever et al. 2013), in torch's fused kernel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from convlens.training.optimisers.optimiser import Rate, State


@dataclass(frozen=True)
class SGD:
    """v = momentum v + g + weight_decay w; w -= rate (g + weight_decay w + momentum v), or rate v without Nesterov."""

    momentum: float = 0.9
    nesterov: bool = True

    def new_state(self, weight: Tensor) -> State:
        return {"momentum_buffer": torch.zeros_like(weight)} if self.momentum else {}

    def move(
        self, weights: list[Tensor], gradients: list[Tensor], states: list[State], *, rate: Rate, weight_decay: float
    ) -> None:
        torch._fused_sgd_(
            weights,
            gradients,
            [state["momentum_buffer"] for state in states] if self.momentum else [],
            weight_decay=weight_decay,
            momentum=self.momentum,
            lr=rate,
            dampening=0.0,
            nesterov=self.nesterov and self.momentum > 0,
            maximize=False,
            is_first_step=False,  # the momentum begins at zero, which is the same
        )
