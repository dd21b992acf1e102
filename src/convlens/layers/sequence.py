"""Modules one after the other, each under a name of its own."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def sequence(**layers: nn.Module) -> nn.Sequential:
    """sequence(conv=..., act=...) applies its layers in the order given; they are its attributes `conv` and `act`."""
    return nn.Sequential(OrderedDict(layers))
