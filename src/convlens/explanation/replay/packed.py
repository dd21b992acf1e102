"""Convolutions whose weights lie as oneDNN wants them, with the activation after them in the same pass (CPU, float32).

torch lays a convolution's weights out anew at every call, which costs as much as some pictures of a small batch. Its
compiler has operators that keep them so; where this torch lacks them, nothing is packed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from convlens.explanation.replay.recorded import Recorded, Step, Value

# of torch's names, those that oneDNN computes as torch does
ACTIVATIONS = {"relu": "relu", "hardswish": "hardswish", "sigmoid": "sigmoid", "tanh": "tanh"}


@dataclass(frozen=True, eq=False)
class PackedConvolution:
    """Takes the arguments of aten::convolution; `weight` is there for its shape."""

    packed: Tensor
    activation: str

    def __call__(
        self, images: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, *rest: Any
    ) -> Tensor:
        return torch.ops.mkldnn._convolution_pointwise(
            images, self.packed, bias, padding, stride, dilation, rest[-1], self.activation, [], ""
        )


def packed(network: Recorded, sizes: dict[int, tuple[int, ...]]) -> Recorded:
    """`sizes` are those of the feature maps. What reads an activation reads the convolution from then on."""
    if not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return network
    readers: dict[int, list[Step]] = {}
    for step in network.steps:
        for value in step.values():
            readers.setdefault(value, []).append(step)
    gone: set[int] = set()
    steps = []
    for step in network.steps:
        if id(step) in gone:
            continue
        if _can_be(step):
            after = readers.get(step.outputs[0], [])
            takes = len(after) == 1 and after[0].op in ACTIVATIONS and step.outputs[0] != network.output
            step = _packed(step, sizes, ACTIVATIONS[after[0].op] if takes else "none")
            if takes:
                gone.add(id(after[0]))
                step = replace(step, outputs=after[0].outputs)
        steps.append(step)
    return replace(network, steps=tuple(steps))


def _can_be(step: Step) -> bool:
    if step.op != "convolution":
        return False
    images, weight, _, _, _, _, transposed, *_ = step.arguments
    if not isinstance(weight, Tensor) or not isinstance(images, Value) or transposed:
        return False
    return weight.ndim == 4 and weight.dtype == torch.float32 and weight.device.type == "cpu"


def _packed(step: Step, sizes: dict[int, tuple[int, ...]], activation: str) -> Step:
    images, weight, _, stride, padding, dilation, _, _, groups = step.arguments
    shape = list(sizes[images.index])
    laid = torch.ops.mkldnn._reorder_convolution_weight(weight, padding, stride, dilation, groups, shape)
    return replace(step, run=PackedConvolution(laid, activation))
