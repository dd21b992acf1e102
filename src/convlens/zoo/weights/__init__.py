"""Published weights: facts about them as data, and how a file's tensors come into a network.

describe_weights(name, path)    classes, side and options that a file tells
imagenet_classes(1000)          names of the outputs; imagenet_names() has their synsets
published(name)                 where a network's ImageNet weights come from, or None
load_weights(network, source)   from a file, or "imagenet"
"""

from __future__ import annotations

from convlens.zoo.weights.describing import FileFacts, describe_weights
from convlens.zoo.weights.imagenet import imagenet_classes, imagenet_names
from convlens.zoo.weights.loading import load_weights
from convlens.zoo.weights.published import PublishedWeights, published

__all__ = [
    "FileFacts",
    "PublishedWeights",
    "describe_weights",
    "imagenet_classes",
    "imagenet_names",
    "load_weights",
    "published",
]
