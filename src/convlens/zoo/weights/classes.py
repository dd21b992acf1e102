"""The names of published networks' outputs, in their order: those of ILSVRC 2012 and of CIFAR-10.

`imagenet_classes.txt` has a synset of WordNet a line and the name that torchvision 0.28 prints for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from convlens.zoo.registry import Entry

BACKGROUND = "background"  # the first of TensorFlow's 1,001 classes
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@cache
def imagenet_names() -> Mapping[str, str]:
    """Synset -> name, in class order."""
    text = (files("convlens.zoo.weights") / "imagenet_classes.txt").read_text(encoding="utf-8")
    return dict(line.split(" ", 1) for line in text.splitlines())


def usual_classes(described: Entry, num_classes: int) -> tuple[str, ...] | None:
    """Of 1,000 outputs ImageNet's names, of 1,001 the background and them; CIFAR-10's of 10 where a paper's are."""
    names = tuple(imagenet_names().values())
    known = {1000: names, 1001: (BACKGROUND, *names)}
    if (described.resolution, described.in_channels, described.num_classes) == (32, 3, 10):
        known[10] = CIFAR10
    return known.get(num_classes)
