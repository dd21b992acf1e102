"""The multi-layer perceptron trained by back-propagation (Rumelhart, Hinton and Williams, 1986),
https://doi.org/10.1038/323533a0.

The default is the 28x28-300-100-10 network of LeCun et al. (1998), section III.C.3: 266,610 parameters.

Departure: ReLU in place of the sigmoid.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from convlens.errors import UsageError, check_count
from convlens.layers import sequence
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register

PAPER = Paper(
    family="mlp",
    year=1986,
    title="Learning Representations by Back-Propagating Errors",
    authors="Rumelhart, Hinton, Williams",
    link="https://doi.org/10.1038/323533a0",
)


def layer(num_inputs: int, num_outputs: int) -> nn.Sequential:
    """(N, num_inputs) -> (N, num_outputs)."""
    linear = nn.Linear(num_inputs, num_outputs)
    nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")  # keeps variance through ReLU (He et al. 2015)
    nn.init.zeros_(linear.bias)
    return sequence(linear=linear, act=nn.ReLU())


class MLP(Network):
    """Fully connected layers of `hidden` units, then the classes."""

    def __init__(
        self,
        *,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        hidden: Sequence[int] = (300, 100),
    ) -> None:
        super().__init__()
        height, width = image_size
        sizes = [in_channels * height * width, *check_hidden(hidden)]
        self.stages = nn.Sequential(nn.Flatten(), *(layer(*pair) for pair in pairwise(sizes)))
        self.head = nn.Linear(sizes[-1], num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, C, H, W)
        return self.head(self.stages(images))  # (N, num_classes), logits


def check_hidden(hidden: Sequence[int]) -> tuple[int, ...]:
    if isinstance(hidden, str) or not isinstance(hidden, Sequence) or not hidden:
        raise UsageError(f"hidden is {hidden!r}, expected the sizes of the hidden layers, such as (300, 100)")
    return tuple(check_count("a size in hidden", size) for size in hidden)


@register(PAPER, MLP, resolution=28, in_channels=1, num_classes=10)
def mlp(**options: Any) -> MLP:
    return MLP(**options)
