"""The perceptron (Rosenblatt, 1958), https://doi.org/10.1037/h0042519.

One layer of weights from the pixels to the classes: the "linear classifier" of LeCun et al. (1998), section III.C.1.

Departures: one unit a class, trained with softmax and gradients; the original was one threshold unit, fed by fixed
random "association" cells and trained by its error-correction rule.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register

PAPER = Paper(
    family="perceptron",
    year=1958,
    title="The Perceptron: A Probabilistic Model for Information Storage and Organization in the Brain",
    authors="Rosenblatt",
    link="https://doi.org/10.1037/h0042519",
)


class Perceptron(Network):
    """logits = W pixels + b."""

    def __init__(self, *, num_classes: int = 10, in_channels: int = 1, image_size: tuple[int, int] = (28, 28)) -> None:
        super().__init__()
        height, width = image_size
        self.stages = nn.Flatten()
        self.head = nn.Linear(in_channels * height * width, num_classes)
        nn.init.normal_(
            self.head.weight, std=0.01
        )  # the error is convex in the weights: any start reaches the same end
        nn.init.zeros_(self.head.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, C, H, W)
        return self.head(self.stages(images))  # (N, num_classes), logits


@register(PAPER, Perceptron, resolution=28, in_channels=1, num_classes=10)
def perceptron(**options: Any) -> Perceptron:
    return Perceptron(**options)
