"""A few more epochs for a network that was made smaller."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]  # the (images, labels) of an epoch


def tune(network: nn.Module, batches: Batches, *, epochs: int, learning_rate: float) -> None:
    """Adam and cross-entropy, in evaluation mode: dropout is off and norms keep their running means.

    Labels are class numbers, or probabilities such as those of the network before.
    """
    network.eval()
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=learning_rate)
    for _ in range(epochs):
        for images, labels in batches():
            optimiser.zero_grad(set_to_none=True)
            functional.cross_entropy(network(images), labels).backward()
            optimiser.step()
