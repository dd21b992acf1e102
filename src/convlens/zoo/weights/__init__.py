"""Published weights: facts about them as data, and how a file's tensors come into a network.

describe_weights(name, path)    classes, side and options that a file tells
usual_classes(entry, 1000)      names of the outputs; imagenet_names() has ImageNet's synsets
published(name)                 where a network's ImageNet weights come from, or None
load_weights(network, source)   from a file, or "imagenet"
"""

from __future__ import annotations

from convlens.zoo.weights.classes import imagenet_names, usual_classes
from convlens.zoo.weights.describing import FileFacts, describe_weights
from convlens.zoo.weights.loading import load_weights
from convlens.zoo.weights.published import PublishedWeights, published

__all__ = [
    "FileFacts",
    "PublishedWeights",
    "describe_weights",
    "imagenet_names",
    "load_weights",
    "published",
    "usual_classes",
]
