"""A few more epochs for a network that was made smaller; a signal ends them after the step they are in."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from convlens.errors import Stopped, counted
from convlens.training.signals import StopRequest

Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]  # the (images, labels) of an epoch


def tune(network: nn.Module, batches: Batches, *, epochs: int, learning_rate: float) -> None:
    """Adam and cross-entropy, in evaluation mode: dropout is off and norms keep their running means.

    Labels are class numbers, or probabilities such as those of the network before. Raises Stopped after a signal: what
    was learnt is not kept.
    """
    network.eval()
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=learning_rate)
    with StopRequest() as request:
        for epoch in range(epochs):
            for step, (images, labels) in enumerate(batches(), 1):
                optimiser.zero_grad(set_to_none=True)
                functional.cross_entropy(network(images), labels).backward()
                optimiser.step()
                if request.signal is not None:
                    done = f"after {counted(step, 'step')} of epoch {epoch + 1} of {epochs}"
                    raise Stopped(f"stopped {done}; nothing was saved: begin again", request.exit_status)
