"""The zoo: one file per family of networks, all with the same outside.

create(name, ...)      a network by name; `names()` and `families()` list them, `entry(name)` tells their paper
build(architecture)    the network of a stored Architecture again
FACTS, MULTIPLIERS     parameters and MACs of every network, with their source
published(name)        where published weights come from; load_weights(network, source) reads them
"""

from __future__ import annotations

from convlens.zoo import (  # noqa: F401  importing a family's file registers its networks
    alexnet,
    densenet,
    lenet,
    mlp,
    mnasnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    perceptron,
    resnet,
    se_resnet,
    shufflenet_v1,
    shufflenet_v2,
    squeezenet,
    vgg,
)
from convlens.zoo.architecture import Architecture, Network, WeightsRecord
from convlens.zoo.create import build, create
from convlens.zoo.facts import FACTS, MULTIPLIERS, Facts, Multiplier
from convlens.zoo.registry import Entry, entry, families, names
from convlens.zoo.weights import PublishedWeights, load_weights, published

__all__ = [
    "FACTS",
    "MULTIPLIERS",
    "Architecture",
    "Entry",
    "Facts",
    "Multiplier",
    "Network",
    "PublishedWeights",
    "WeightsRecord",
    "build",
    "create",
    "entry",
    "families",
    "load_weights",
    "names",
    "published",
]
