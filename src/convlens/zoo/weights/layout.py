"""Files of TensorFlow: other axes, and batch normalisation folded into the convolutions.

There a convolution is (O, H, W, I), a depthwise one (1, H, W, C), a last layer (O, 1, 1, I). Where a file has one
weight and one bias for each convolution of a network that normalises, our norm becomes the addition of that bias.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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
    """Some kernel can only be a 1x1 one as (O, 1, 1, I) or a depthwise one as (1, H, W, C), or all are square so only.

    A square kernel of as many inputs as it is wide looks alike either way.
    """
    shapes = [tuple(tensor.shape) for tensor in tensors.values() if tensor.dim() == 4]
    turned = [shape for shape in shapes if shape[1] == shape[2] != shape[3]]
    pointwise_or_depthwise = any(1 in shape[:2] for shape in turned)
    return pointwise_or_depthwise or (bool(turned) and all(shape[1] == shape[2] for shape in shapes))


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
    """The file's tensors with our axes, and under the network's names where norms are folded into them."""
    if is_tensorflow(content.tensors):
        content = replace(content, tensors={name: _turned(tensor) for name, tensor in content.tensors.items()})
    units, tensors = units_of(network), list(content.tensors.items())
    folded = any(unit.norm is not None for unit in units) and len(tensors) == 2 * len(units)
    if not folded or not content.ordered:
        return content
    named: dict[str, torch.Tensor] = {}
    called: dict[str, str] = {}
    for unit, (weight_name, weight), (bias_name, bias) in zip(units, tensors[::2], tensors[1::2], strict=True):
        additions = _additions(unit, bias)
        named |= {f"{unit.path}.weight": weight, **additions}
        called |= {f"{unit.path}.weight": weight_name, **dict.fromkeys(additions, bias_name)}
    return replace(content, tensors=named, called=called)


def _turned(weight: torch.Tensor) -> torch.Tensor:
    """(O, H, W, I) or (1, H, W, C) -> (O, I, H, W) or (C, 1, H, W); what has no four axes stays."""
    if weight.dim() != 4:
        return weight
    depthwise = weight.shape[0] == 1 < weight.shape[1]
    return (weight.permute(3, 0, 1, 2) if depthwise else weight.permute(0, 3, 1, 2)).contiguous()


def _additions(unit: Unit, bias: torch.Tensor) -> dict[str, torch.Tensor]:
    """The bias itself; before a norm, a norm that does nothing but add it, and no bias of the layer's own."""
    if unit.norm is None:
        return {f"{unit.path}.bias": bias}
    bias = bias.float()  # half precision would lose the epsilon
    own = {} if unit.layer.bias is None else {f"{unit.path}.bias": torch.zeros_like(bias)}
    return own | {
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
