"""The order of layers for a file whose writer sorted the names: the numbers in the names give it back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch

# As torch orders a layer's tensors; "w" and "b" are short for the first and the third.
ENDINGS = ("weight", "w", "gamma", "bias", "b", "beta", "running_mean", "running_var")
NUMBERED = re.compile(rf"(?P<layer>.*\d.*?)[._](?P<ending>{'|'.join(ENDINGS)})")


def in_layer_order(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """conv0_bias, conv0_weight, conv10_bias, conv1_bias -> conv0_weight, conv0_bias, conv1_bias, conv10_bias.

    Only names that are sorted as text and count their layers; all others stay as they are.
    """
    if list(tensors) != sorted(tensors) or not count_layers(tensors):
        return dict(tensors)

    def place(name: str) -> tuple[list[int], int]:
        layer, ending = _parts(name)
        return [int(digits) for digits in re.findall(r"\d+", layer)], ENDINGS.index(ending)

    return {name: tensors[name] for name in sorted(tensors, key=place)}


def count_layers(names: Iterable[str]) -> bool:
    """Every name begins with its layer's number (00_conv_w, 01_depthwise_w), or differs in numbers and ending alone."""
    parts = [_parts(name) for name in names]
    layers = {layer for layer, _ in parts}
    alike = len({re.sub(r"\d+", "#", layer) for layer in layers}) == 1
    return "" not in layers and (alike or _count_up(layers))


def _parts(name: str) -> tuple[str, str]:
    """ "conv0_weight" -> ("conv0", "weight"); nothing for a name of another form."""
    match = NUMBERED.fullmatch(name)
    return ("", "") if match is None else (match["layer"], match["ending"])


def _count_up(layers: set[str]) -> bool:
    """Each begins with a number that no other has."""
    numbers = [re.match(r"\d+(?=[._])", layer) for layer in layers]
    return None not in numbers and len({int(match[0]) for match in numbers if match}) == len(layers)
