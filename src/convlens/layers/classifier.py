"""The head that came with Network in Network (Lin et al. 2013): global average, then one Linear."""

from __future__ import annotations

from torch import nn

from convlens.layers.sequence import sequence


def pooled_classifier(channels: int, num_classes: int, *, dropout: float = 0.0) -> nn.Sequential:
    """(N, channels, H, W) -> (N, num_classes)."""
    layers = sequence(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    if dropout:
        layers.add_module("dropout", nn.Dropout(dropout))
    layers.add_module("linear", nn.Linear(channels, num_classes))
    return layers
