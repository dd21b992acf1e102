"""Files of TensorFlow: other axes, and batch normalisation folded into the convolutions.

In those of its mobile format a convolution is (O, H, W, I), a depthwise one (1, H, W, C), a last layer (O, 1, 1, I); in
those of Keras (H, W, I, O), (H, W, C, 1) and (I, O). A linear layer on a flattened map reads it place by place there,
here channel by channel. Where a file has one weight and one bias for each convolution of a network that normalises, our
norm becomes the addition of that bias.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from convlens.zoo.weights.reading import FileTensors

LARGEST_KERNEL = 11  # AlexNet's


@dataclass
class Unit:
    """A layer with weights and the norm behind it, by their paths in the network."""

    path: str
    layer: nn.Conv2d | nn.Linear
    norm_path: str = ""
    norm: nn.BatchNorm2d | None = None


def axes_of(tensors: Mapping[str, torch.Tensor]) -> str:
    """The order of a convolution's axes: OIHW as ours, OHWI or HWIO.

    HWIO: the first two are small and alike in all, the last two not. OHWI: some kernel can only be a 1x1 one as
    (O, 1, 1, I) or a depthwise one as (1, H, W, C), or all are square so only. A square kernel of as many inputs as it
    is wide looks alike either way.
    """
    shapes = [tuple(tensor.shape) for tensor in tensors.values() if tensor.dim() == 4]
    if shapes and all(s[0] == s[1] <= LARGEST_KERNEL for s in shapes) and any(s[2] != s[3] for s in shapes):
        return "HWIO"
    turned = [shape for shape in shapes if shape[1] == shape[2] != shape[3]]
    pointwise_or_depthwise = any(1 in shape[:2] for shape in turned)
    square_only_so = bool(turned) and all(shape[1] == shape[2] for shape in shapes)
    return "OHWI" if pointwise_or_depthwise or square_only_so else "OIHW"


def is_tensorflow(tensors: Mapping[str, torch.Tensor]) -> bool:
    return axes_of(tensors) != "OIHW"


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
    axes = axes_of(content.tensors)
    if axes != "OIHW":
        turned = {name: _turned(tensor, axes) for name, tensor in content.tensors.items()}
        content = replace(content, tensors=_by_channels(network, turned))
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


def _turned(weight: torch.Tensor, axes: str) -> torch.Tensor:
    """-> (O, I, H, W), or (C, 1, H, W) of a depthwise one; (O, I) of HWIO's (I, O); all else stays."""
    if weight.dim() == 2 and axes == "HWIO":
        return weight.t().contiguous()
    if weight.dim() != 4:
        return weight
    own, depthwise = [axes.index(axis) for axis in "OIHW"], weight.shape[0] == 1 < weight.shape[1]
    if axes == "HWIO":
        depthwise = weight.shape[3] == 1 < weight.shape[2]
    if depthwise:  # its channels stand where the inputs of others do
        own[:2] = own[1::-1]
    return weight.permute(own).contiguous()


def _by_channels(network: nn.Module, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The rows of a linear layer on a flattened map, from (H, W, C) to (C, H, W)."""
    units, weights = units_of(network), [name for name, tensor in tensors.items() if tensor.dim() > 1]
    for before, unit, name in zip(units, units[1:], weights[1:], strict=False) if len(units) == len(weights) else ():
        if isinstance(before.layer, nn.Conv2d) and isinstance(unit.layer, nn.Linear):
            positions, rest = divmod(unit.layer.in_features, channels := before.layer.out_channels)
            rows = tensors[name].flatten(1)
            if not rest and positions > 1 and rows.shape[1] == unit.layer.in_features:
                tensors = tensors | {name: rows.unflatten(1, (positions, channels)).transpose(1, 2).flatten(1)}
    return tensors


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
