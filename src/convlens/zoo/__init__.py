"""The zoo: one file per family of networks, all with the same outside.

create(name, ...)      a network by name; `names()` and `families()` list them, `entry(name)` tells their paper
build(architecture)    the network of a stored Architecture again
FACTS, MULTIPLIERS     parameters and MACs of every network, with their source
TextCNN                reads sentences, and so stands outside the registry
published(name)        where published weights come from; load_weights(network, source) reads them
"""

from __future__ import annotations

from convlens.zoo import (  # noqa: F401  importing a family's file registers its networks
    alexnet,
    densenet,
    googlenet,
    inception_v3,
    lenet,
    mlp,
    mnasnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    nasnet,
    perceptron,
    recurrent,
    resnet,
    resnet_cifar,
    resnet_plain,
    resnext,
    se_resnet,
    shufflenet_v1,
    shufflenet_v2,
    sprint,
    squeezenet,
    vgg,
    wide_resnet,
    xception,
)
from convlens.zoo.architecture import Architecture, Network, WeightsRecord
from convlens.zoo.create import build, create
from convlens.zoo.facts import DATA_SETS, FACTS, MULTIPLIERS, Facts, Multiplier
from convlens.zoo.registry import Entry, entry, families, names
from convlens.zoo.textcnn import TextCNN
from convlens.zoo.weights import (
    FileFacts,
    PublishedWeights,
    describe_weights,
    imagenet_names,
    load_weights,
    published,
    usual_classes,
)

__all__ = [
    "DATA_SETS",
    "FACTS",
    "MULTIPLIERS",
    "Architecture",
    "Entry",
    "Facts",
    "FileFacts",
    "Multiplier",
    "Network",
    "PublishedWeights",
    "TextCNN",
    "WeightsRecord",
    "build",
    "create",
    "describe_weights",
    "entry",
    "families",
    "imagenet_names",
    "load_weights",
    "names",
    "published",
    "usual_classes",
]
