"""A running mean of the weights (exponential moving average, Polyak and Juditsky 1992)."""

from __future__ import annotations

import copy

import torch
from torch import nn

from convlens.errors import NetworkError


class WeightAverage:
    """`network` holds the mean; buffers (running statistics) are copied, not averaged."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        if isinstance(network, torch.jit.ScriptModule):
            raise NetworkError(
                "--ema came for a network of TorchScript, of which torch makes no plain copy; leave --ema"
            )
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, source: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))  # the first steps are soon forgotten
        means: list[torch.Tensor] = list(self.network.parameters())
        values: list[torch.Tensor] = list(source.parameters())
        torch._foreach_lerp_(means, values, 1 - decay)
        for mean, value in zip(self.network.buffers(), source.buffers(), strict=True):
            mean.copy_(value)
