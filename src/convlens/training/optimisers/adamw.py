"""AdamW (Loshchilov and Hutter 2017), https://arxiv.org/abs/1711.05101, algorithm 2, in torch's fused kernel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from convlens.training.optimisers.optimiser import Rate, State


@dataclass(frozen=True)
class AdamW:
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def new_state(self, weight: Tensor) -> State:
        step = torch.zeros((), device=weight.device if weight.is_cuda else "cpu")
        return {"step": step, "exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}

    def move(
        self, weights: list[Tensor], gradients: list[Tensor], states: list[State], *, rate: Rate, weight_decay: float
    ) -> None:
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            weights,
            gradients,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            steps,
            lr=rate,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=weight_decay,
            eps=self.epsilon,
            amsgrad=False,
            maximize=False,
        )
