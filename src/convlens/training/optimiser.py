"""Optimisers: weight decay on filters and matrices only, never on norms and biases (He et al. 2018).

A network that is fine-tuned learns slower the earlier the layer is (discriminative rates, Howard and Ruder 2018).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from convlens.training.recipe import Recipe

RATES = (0.025, 0.05, 0.1, 1.0)  # of the thirds of a body, and of the classifier, when fine-tuning


def decayed_parameters(network: nn.Module) -> list[nn.Parameter]:
    return [p for p in network.parameters() if p.requires_grad and p.ndim > 1]


def build_optimiser(
    network: nn.Module, recipe: Recipe, learning_rate: float, *, pretrained: bool = False
) -> torch.optim.Optimizer:
    groups = [
        {"params": params, "weight_decay": recipe.weight_decay if decayed else 0.0, "scale": scale}
        for part, scale in (_thirds(network) if pretrained else [(list(network.parameters()), 1.0)])
        for decayed in (True, False)
        if (params := [p for p in part if p.requires_grad and (p.ndim > 1) == decayed])
    ]
    if recipe.optimiser == "sgd":
        # a decay of 0.05 is AdamW's scale; SGD's is not multiplied by a rate of 0.1
        for group in groups:
            group["weight_decay"] *= 0.01  # type: ignore[operator]
        return torch.optim.SGD(groups, lr=learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
    return torch.optim.AdamW(groups, lr=learning_rate)


def _thirds(network: nn.Module) -> list[tuple[list[nn.Parameter], float]]:
    """The parameters of the first, second and last third of the layers before the classifier, and the classifier's."""
    *body, classifier = [list(m.parameters(recurse=False)) for m in network.modules() if list(m.parameters(False))]
    ends = [round(len(body) * third / 3) for third in range(4)]
    parts = [[p for layer in body[a:b] for p in layer] for a, b in pairwise(ends)]
    return list(zip([*parts, classifier], RATES, strict=True))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The rate of the last layer; earlier groups have their share of it."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]
