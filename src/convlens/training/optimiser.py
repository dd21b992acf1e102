"""Optimisers: weight decay on filters and matrices only, never on norms and biases (He et al. 2018)."""

from __future__ import annotations

import torch
from torch import nn

from convlens.training.recipe import Recipe


def decayed_parameters(network: nn.Module) -> list[nn.Parameter]:
    return [p for p in network.parameters() if p.requires_grad and p.ndim > 1]


def build_optimiser(network: nn.Module, recipe: Recipe, learning_rate: float) -> torch.optim.Optimizer:
    plain = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": decayed_parameters(network), "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimiser == "sgd":
        # a decay of 0.05 is AdamW's scale; SGD's is not multiplied by a rate of 0.1
        for group in groups:
            group["weight_decay"] *= 0.01  # type: ignore[operator]
        return torch.optim.SGD(groups, lr=learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
    return torch.optim.AdamW(groups, lr=learning_rate)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
