"""Adam (Kingma and Ba, 2014), https://arxiv.org/abs/1412.6980, algorithm 1.

    m <- b1 m + (1 - b1) g          the mean gradient of late
    v <- b2 v + (1 - b2) g^2        and its mean square
    w <- w - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

Each weight has a step of its own, of about `rate` where its gradients agree and less where they contradict each other,
however large they are. m and v begin at zero; dividing by 1 - b^t makes up for it in the first steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convlens.errors import UsageError, check_number


class Adam:
    """`rate` may be changed between steps."""

    def __init__(
        self, rate: float = 0.001, *, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8
    ) -> None:
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise UsageError(f"betas is {betas!r:.80}; expected two numbers, such as (0.9, 0.999)")
        self.rate = check_number("rate", rate, 0, above=True)
        self.betas = (
            check_number("the first of betas", betas[0], 0, 1),
            check_number("the second of betas", betas[1], 0, 1),
        )
        self.epsilon = check_number("epsilon", epsilon, 0, above=True)
        self.mean: dict[str, np.ndarray] = {}
        self.square: dict[str, np.ndarray] = {}
        self.steps = 0

    def step(self, parameters: Mapping[str, np.ndarray], gradients: Mapping[str, np.ndarray]) -> None:
        """Change the parameters in place."""
        self.steps += 1
        (b1, b2), t = self.betas, self.steps
        for name, weight in parameters.items():
            g = gradients[name]
            self.mean[name] = b1 * self.mean.get(name, 0) + (1 - b1) * g
            self.square[name] = b2 * self.square.get(name, 0) + (1 - b2) * g**2
            root = np.sqrt(self.square[name] / (1 - b2**t))
            weight -= self.rate * (self.mean[name] / (1 - b1**t)) / (root + self.epsilon)
