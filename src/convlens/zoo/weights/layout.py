"""Files of TensorFlow: other axes, and batch normalisation folded into the convolutions.

There a convolution is (O, H, W, I), a depthwise one (1, H, W, C), a last layer (O, 1, 1, I). Where a file has one
weight and one bias for each convolution of a network that normalises, our norm becomes the addition of that bias.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from convlens.zoo.weights.reading import FileTensors


@dataclass
class Unit:
    """A layer with weights and the norm behind it, by their paths in the network."""

    path: str
    layer: nn.Conv2d | nn.Linear
    norm_path: str = ""
    norm: nn.BatchNorm2d | None = None


def is_tensorflow(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Some 1x1 convolution is (O, 1, 1, I), or some depthwise one (1, H, W, C)."""
    shapes = [tensor.shape for tensor in tensors.values() if tensor.dim() == 4]
    return any(shape[3] > 1 and (tuple(shape[1:3]) == (1, 1) or shape[0] == 1 < shape[1]) for shape in shapes)


def units_of(network: nn.Module) -> list[Unit]:
    """Every convolution and Linear layer in order, each with the norm that comes next."""
    units: list[Unit] = []
    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            units.append(Unit(path, module))
        elif isinstance(module, nn.BatchNorm2d) and units and units[-1].norm is None:
            units[-1].norm_path, units[-1].norm = path, module
    return units


def in_our_layout(network: nn.Module, content: FileTensors) -> FileTensors:
    """The file's tensors under the network's names where it is TensorFlow's or folded, else as they are."""
    units, tensors, names = units_of(network), list(content.tensors.values()), list(content.tensors)
    folded = any(unit.norm is not None for unit in units) and len(tensors) == 2 * len(units)
    if not content.ordered or len(tensors) != 2 * len(units) or not (folded or is_tensorflow(content.tensors)):
        return content
    named: dict[str, torch.Tensor] = {}
    called = {f"{unit.path}.weight": name for unit, name in zip(units, names[::2], strict=True)}
    for unit, weight, bias in zip(units, tensors[::2], tensors[1::2], strict=True):
        weight = weight if not is_tensorflow(content.tensors) else _turned(weight, unit.layer.weight.dim())
        named |= {f"{unit.path}.weight": weight, **_additions(unit, bias)}
    return FileTensors(named, True, content.metadata, called)


def _turned(weight: torch.Tensor, dims: int) -> torch.Tensor:
    """(O, H, W, I) or (1, H, W, C) -> (O, I, H, W) or (C, 1, H, W); of one position -> (O, I) for a Linear layer."""
    if weight.dim() != 4:
        return weight
    turned = weight.permute(3, 0, 1, 2) if weight.shape[0] == 1 < weight.shape[1] else weight.permute(0, 3, 1, 2)
    return (turned.flatten(1) if dims == 2 else turned).contiguous()


def _additions(unit: Unit, bias: torch.Tensor) -> dict[str, torch.Tensor]:
    """The bias itself, or a norm that does nothing but add it."""
    if unit.norm is None:
        return {f"{unit.path}.bias": bias}
    return {
        f"{unit.norm_path}.weight": torch.full_like(bias, math.sqrt(1 + unit.norm.eps)),  # undoes the epsilon
        f"{unit.norm_path}.bias": bias,
        f"{unit.norm_path}.running_mean": torch.zeros_like(bias),
        f"{unit.norm_path}.running_var": torch.ones_like(bias),
    }


def sizes_agree(network: nn.Module, weights: Sequence[torch.Tensor]) -> bool:
    """Whether the file's tensors of two or more axes have as many numbers each, the last layer's apart."""
    ours = [unit.layer.weight.numel() for unit in units_of(network)]
    theirs = [tensor.numel() for tensor in weights if tensor.dim() > 1]
    return len(ours) == len(theirs) and ours[:-1] == theirs[:-1]
