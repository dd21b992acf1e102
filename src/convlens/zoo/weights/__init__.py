"""Published weights: facts about them as data, and how a file's tensors come into a network.

published(name)                 where a network's ImageNet weights come from, or None
load_weights(network, source)   from a file, or "imagenet"
"""

from __future__ import annotations

from convlens.zoo.weights.loading import load_weights
from convlens.zoo.weights.published import PublishedWeights, published

__all__ = ["PublishedWeights", "load_weights", "published"]
