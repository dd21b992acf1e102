"""Convolutions whose weights lie as oneDNN wants them, with the activation after them in the same pass (CPU, float32).

torch lays a convolution's weights out anew at every call, which costs as much as some pictures of a small batch. Its
compiler has operators that keep them so; where this torch lacks them, nothing is packed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from convlens.explanation.replay.recorded import Recorded, Step, Value

# of torch's names, those that oneDNN computes as torch does
ACTIVATIONS = {"relu": "relu", "hardswish": "hardswish", "sigmoid": "sigmoid", "tanh": "tanh"}
OPERATORS = ("_reorder_convolution_weight", "_get_mkldnn_serialized_md", "_convolution_pointwise")


class PackedConvolution:
    """Takes the arguments of aten::convolution.

    How oneDNN wants the weights hangs on the shape of the feature maps, and weights that lie otherwise are laid out
    anew at every call, which takes up to seven times as long as the convolution. So each layout is kept that came up.
    """

    def __init__(self, activation: str) -> None:
        self.activation = activation
        self._for_shape: dict[tuple[int, ...], Tensor] = {}
        self._layouts: dict[bytes, Tensor] = {}

    def __call__(
        self, images: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, *rest: Any
    ) -> Tensor:
        groups = rest[-1]
        shape = tuple(images.shape)
        packed = self._for_shape.get(shape)
        if packed is None:
            own = torch.ops.mkldnn._reorder_convolution_weight(weight, padding, stride, dilation, groups, list(shape))
            layout = torch.ops.mkldnn._get_mkldnn_serialized_md(own).numpy().tobytes()
            packed = self._for_shape[shape] = self._layouts.setdefault(layout, own)
        return torch.ops.mkldnn._convolution_pointwise(
            images, packed, bias, padding, stride, dilation, groups, self.activation, [], ""
        )


def packed(network: Recorded) -> Recorded:
    """What reads an activation reads the convolution from then on."""
    if not all(hasattr(torch.ops.mkldnn, name) for name in OPERATORS):
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
            step = replace(step, run=PackedConvolution(ACTIVATIONS[after[0].op] if takes else "none"))
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
