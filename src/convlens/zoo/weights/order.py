"""The order of layers for a file whose writer sorted the names: the numbers in the names give it back."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

ENDINGS = ("weight", "gamma", "bias", "beta", "running_mean", "running_var")  # as torch orders a layer's tensors
NUMBERED = re.compile(rf"(?P<layer>.*\d.*?)[._](?P<ending>{'|'.join(ENDINGS)})")


def in_layer_order(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """conv0_bias, conv0_weight, conv10_bias, conv1_bias -> conv0_weight, conv0_bias, conv1_bias, conv10_bias.

    Only names that are sorted as text and differ in their numbers and endings alone; all others stay as they are.
    """
    found = {name: NUMBERED.fullmatch(name) for name in tensors}
    kinds = {None if match is None else re.sub(r"\d+", "#", match["layer"]) for match in found.values()}
    if list(tensors) != sorted(tensors) or None in kinds or len(kinds) != 1:
        return dict(tensors)

    def place(name: str) -> tuple[list[int], int]:
        match = found[name]
        assert match is not None
        return [int(digits) for digits in re.findall(r"\d+", match["layer"])], ENDINGS.index(match["ending"])

    return {name: tensors[name] for name in sorted(tensors, key=place)}
