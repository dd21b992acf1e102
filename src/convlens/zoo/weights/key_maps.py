"""Key maps: where a layer of torchvision's networks stands, by its name alone.

A family's words stand in the order in which its layers run. Of words that share a place ("conv|bn") the numbers decide
first: conv1, bn1, conv2, bn2. A name is read as words and numbers: `features.denseblock2.denselayer1.norm.1` is
features, denseblock 2, denselayer 1, norm 1; the published DenseNets have `norm.1` for `norm1`.

timm has the same names for its ResNets (`se` is its squeeze and excitation), ResNeXts, DenseNets and its VGGs' own
convolutions, whose linear layers are `pre_logits.fc1`, `pre_logits.fc2` and `head.fc`; ResNets for CIFAR-10 by others
say `shortcut` and `linear`. Source: torchvision 0.28, whose every network `make peers` loads shuffled.
"""

from __future__ import annotations

import re
from functools import cache

RESNET = "conv|bn layer se downsample|shortcut fc|linear"
# fmt: off
WORDS = {
    "alexnet":       "features classifier",
    "vgg":           "features classifier pre_logits head fc",
    "googlenet":     "conv inception aux branch bn fc",
    "inception_v3":  "Conv2d Mixed branch1x1 branch5x5 branch3x3 branch3x3dbl branch7x7x3 branch7x7 branch7x7dbl "
                     "branch_pool conv bn fc",
    "resnet":        RESNET,
    "resnext":       RESNET,
    "wide_resnet":   RESNET,
    "se_resnet":     RESNET,
    "densenet":      "features conv0 norm0 denseblock|transition denselayer norm|conv norm5 classifier",
    "squeezenet":    "features squeeze expand1x1 expand3x3 classifier",
    "shufflenet_v2": "conv1 stage branch conv5 fc",
    "mnasnet":       "layers classifier",
    "mobilenet_v2":  "features conv classifier",
    "mobilenet_v3":  "features block fc classifier",
}
# fmt: on
Number = tuple[int, str]  # 3a -> (3, "a")
Place = tuple[tuple[int, Number, int, tuple[Number, ...]], ...]


def place(layer: str, family: str) -> Place | None:
    """What sorts a family's layers into their order; None for a name that its key map does not know."""
    if family not in WORDS:
        return None
    ranks, piece = _grammar(family)
    parts: list[tuple[str, list[Number]]] = []
    for text in layer.split("."):
        found = piece.fullmatch(text)
        if found is None or not (found["word"] or parts):
            return None
        numbers = [(int(digits), letter) for digits, letter in re.findall(r"(\d+)([a-z]?)", found["numbers"])]
        if found["word"]:
            parts.append((found["word"], numbers))
        else:
            parts[-1][1].extend(numbers)
    return tuple(
        (ranks[word][0], (numbers or [(-1, "")])[0], ranks[word][1], tuple(numbers[1:])) for word, numbers in parts
    )


@cache
def _grammar(family: str) -> tuple[dict[str, tuple[int, int]], re.Pattern[str]]:
    """Each word's place and its rank among those that share it; what reads `branch3x3dbl_3a` as a word and numbers."""
    groups = [group.split("|") for group in WORDS[family].split()]
    ranks = {word: (number, rank) for number, group in enumerate(groups) for rank, word in enumerate(group)}
    longest_first = "|".join(sorted(ranks, key=len, reverse=True))
    return ranks, re.compile(rf"(?P<word>{longest_first})?(?P<numbers>(_?\d+[a-z]?)*)")
