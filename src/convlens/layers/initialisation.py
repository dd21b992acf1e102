"""Starting weights; all draws come from torch's default generator, so `torch.manual_seed` decides them."""

from __future__ import annotations

from typing import Literal

from torch import nn


def he_initialise(module: nn.Module, *, mode: Literal["fan_out", "fan_in"] = "fan_out") -> None:
    """Convolutions normal with variance 2 / fan_out, which keeps the gradient's variance through ReLU (He et al. 2015).

    mode="fan_in" keeps the signal's, for networks without norms whose convolutions differ much in their channels.
    Linear layers are normal with deviation 0.01, norms start as the identity, biases at zero.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
