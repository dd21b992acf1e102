"""The two players of Goodfellow et al. (2014), https://arxiv.org/abs/1406.2661, as multi-layer perceptrons.

Departures: leaky ReLU (slope 0.2) in both in place of ReLU and maxout; no dropout in the discriminator; weights
start with the variance 2 / inputs (He et al., 2015).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convlens.classics.adversarial import Adversarial
from convlens.classics.given import draws_of
from convlens.layers import sequence

SLOPE = 0.2


class GAN(Adversarial):
    """`hidden` units in each of the two hidden layers of either player."""

    def __init__(
        self, shape: Sequence[int] = (1, 28, 28), num_noise: int = 64, num_classes: int = 0, hidden: int = 256
    ) -> None:
        super().__init__(shape, num_noise, num_classes, hidden)
        size = math.prod(self.shape)
        with torch.random.fork_rng(devices=[]):
            self.generator = nn.Sequential(
                *perceptron(num_noise + num_classes, hidden, size), nn.Tanh(), nn.Unflatten(1, self.shape)
            )
            self.discriminator = Discriminator(perceptron(size + num_classes, hidden, 1))
        self._begin(draws_of(0, torch.empty(0)))

    def _deviation(self, weight: Tensor) -> float:
        return math.sqrt(2 / weight.shape[1])


def perceptron(num_inputs: int, hidden: int, num_outputs: int) -> nn.Sequential:
    return sequence(
        linear1=nn.Linear(num_inputs, hidden),
        act1=nn.LeakyReLU(SLOPE),
        linear2=nn.Linear(hidden, hidden),
        act2=nn.LeakyReLU(SLOPE),
        linear3=nn.Linear(hidden, num_outputs),
    )


class Discriminator(nn.Module):
    """Pictures and classes as one row of numbers -> (N,), logits."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, pictures: Tensor, classes: Tensor) -> Tensor:
        return self.layers(torch.cat([pictures.flatten(1), classes], 1))[:, 0]
