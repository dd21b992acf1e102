"""Gradient descent, with momentum.

    v <- momentum v + g        w <- w - rate v

The gradient g of a mini-batch points, roughly, where the error grows fastest: go the other way. Momentum adds up what
the last steps agree on, so a rate r with momentum 0.9 walks as far as 10 r without, and steadier.
"Stochastic": each step sees a few pictures only.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convlens.errors import check_number


class SGD:
    """`rate` may be changed between steps. `weight_decay` adds that share of each weight to its gradient."""

    def __init__(self, rate: float, *, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        self.rate = check_number("rate", rate, 0, above=True)
        self.momentum = check_number("momentum", momentum, 0, 1)
        self.weight_decay = check_number("weight_decay", weight_decay, 0)
        self.velocity: dict[str, np.ndarray] = {}

    def step(self, parameters: Mapping[str, np.ndarray], gradients: Mapping[str, np.ndarray]) -> None:
        """Change the parameters in place."""
        for name, weight in parameters.items():
            change = gradients[name]
            if self.weight_decay:
                change = change + self.weight_decay * weight
            if self.momentum:
                change = self.velocity[name] = self.momentum * self.velocity.get(name, 0) + change
            weight -= self.rate * change
