"""The thousand classes of ILSVRC 2012, in the order of every published network's outputs.

`imagenet_classes.txt` has a synset of WordNet a line and the name that torchvision 0.28 prints for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

BACKGROUND = "background"  # the first of TensorFlow's 1,001 classes


@cache
def imagenet_names() -> Mapping[str, str]:
    """Synset -> name, in class order."""
    text = (files("convlens.zoo.weights") / "imagenet_classes.txt").read_text(encoding="utf-8")
    return dict(line.split(" ", 1) for line in text.splitlines())


def imagenet_classes(num_classes: int) -> tuple[str, ...] | None:
    """The names of 1,000 or, with the background first, 1,001 outputs; None for another number."""
    names = tuple(imagenet_names().values())
    return {1000: names, 1001: (BACKGROUND, *names)}.get(num_classes)
