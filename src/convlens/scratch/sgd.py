"""Gradient descent, with momentum.

    v <- momentum v + g        w <- w - rate v

The gradient g of a mini-batch points, roughly, where the error grows fastest: go the other way. Momentum adds up what
the last steps agree on, so a rate r with momentum 0.9 walks as far as 10 r without, and steadier.
"Stochastic": each step sees a few pictures only.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convlens.errors import UsageError


class SGD:
    """`rate` may be changed between steps. `weight_decay` adds that share of each weight to its gradient."""

    def __init__(self, rate: float, *, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        if not rate > 0 or not 0 <= momentum < 1 or weight_decay < 0:
            raise UsageError(
                f"rate is {rate}, momentum {momentum}, weight_decay {weight_decay}; expected above 0, 0 to below 1, "
                "and at least 0"
            )
        self.rate, self.momentum, self.weight_decay = rate, momentum, weight_decay
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
