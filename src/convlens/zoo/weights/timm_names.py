"""Where a layer of timm's MobileNets, MnasNets and Xception stands, by its name among the others.

A block that widens first, `conv_pw` before `conv_dw`, has a `conv_pwl` in the end; one without it begins with
`conv_dw`. Source: timm 1.0.31, whose networks `make peers` loads shuffled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# fmt: off
TOP = ("conv_stem", "conv1", "bn1", "conv2", None, "conv_head", "conv3.conv1", "conv3.pointwise", "bn3",
       "conv4.conv1", "conv4.pointwise", "bn4", "classifier", "fc")  # None: the blocks
INVERTED = ("conv_pw", "bn1", "conv_dw", "bn2", "se.conv_reduce", "se.conv_expand", "conv_pwl", "bn3")
SEPARABLE = ("conv", "conv_dw", "bn1", "se.conv_reduce", "se.conv_expand", "conv_pw", "bn2")
# fmt: on
BLOCK = re.compile(r"(?P<block>blocks\.(?P<stage>\d+)\.(?P<number>\d+))\.(?P<layer>.+)")
RESIDUAL = re.compile(
    r"block(?P<number>\d+)\.(?:(?P<skip>skip(?:bn)?)|rep\.(?P<place>\d+)(?P<layer>\.conv1|\.pointwise)?)"
)
SKIPS = {"skip": -2, "skipbn": -1}  # before the rest of their block
Place = tuple[int, ...]


def timm_places(layers: Iterable[str]) -> dict[str, Place]:
    """Layer -> what sorts it, for those that timm's names tell."""
    given = set(layers)
    inverted = {layer.removesuffix(".conv_pwl") for layer in given if layer.endswith(".conv_pwl")}
    second = TOP.index("conv_head" if "conv_head" in given else "conv2")  # after which bn2 stands
    places: dict[str, Place] = {"bn2": (second, 1)}
    for layer in given - {"bn2"}:
        if layer in TOP:
            places[layer] = (TOP.index(layer), 0)
        elif found := BLOCK.fullmatch(layer):
            order = INVERTED if found["block"] in inverted else SEPARABLE
            if found["layer"] in order:
                inside = order.index(found["layer"])
                places[layer] = (TOP.index(None), int(found["stage"]), int(found["number"]), inside)
        elif found := RESIDUAL.fullmatch(layer):
            inside = SKIPS[found["skip"]] if found["skip"] else int(found["place"])
            places[layer] = (TOP.index(None), int(found["number"]), inside, found["layer"] == ".pointwise")
    return places
