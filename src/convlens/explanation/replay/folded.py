"""Batch normalisation folded into the convolution before it: the same affine map in one operation (evaluation mode)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from convlens.explanation.replay.recorded import Recorded, Step, Value

NORMALISATIONS = ("native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training")


def folded(recorded: Recorded) -> Recorded:
    """Equal up to rounding; weights lie as channels_last feature maps want them."""
    makers = {step.outputs[0]: place for place, step in enumerate(recorded.steps)}
    readers = [0] * recorded.num_values
    for step in recorded.steps:
        for value in step.values():
            readers[value] += 1
    steps: list[Step | None] = list(recorded.steps)
    for place, step in enumerate(recorded.steps):
        read = step.arguments[0] if step.arguments else None
        if step.op not in NORMALISATIONS or not isinstance(read, Value) or _trains(step):
            continue
        before = makers.get(read.index, place)
        convolution = steps[before]
        if convolution is None or readers[read.index] != 1 or not _can_take(convolution):
            continue
        weight, bias = _with(step, *convolution.arguments[1:3])
        arguments = (convolution.arguments[0], weight, bias, *convolution.arguments[3:])
        steps[place] = replace(convolution, arguments=arguments, outputs=step.outputs[:1])
        steps[before] = None
    return replace(recorded, steps=tuple(step for step in steps if step is not None))


def _trains(step: Step) -> bool:
    return bool(step.op != "_native_batch_norm_legit_no_training" and step.arguments[5])


def _can_take(step: Step) -> bool:
    if step.op != "convolution":
        return False
    _, weight, bias, _, _, _, transposed, *_ = step.arguments
    return isinstance(weight, Tensor) and (bias is None or isinstance(bias, Tensor)) and not transposed


def _with(step: Step, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """(M, N, k, k), (M,) and the normalisation of those M channels -> weight and bias that do both."""
    scale, shift, mean, variance = step.arguments[1:5]
    factor = (variance.double() + step.arguments[-1]).rsqrt() * (1 if scale is None else scale)
    offset = (-mean if bias is None else bias.double() - mean) * factor + (0 if shift is None else shift)
    scaled = (weight * factor.reshape(-1, *[1] * (weight.ndim - 1))).to(weight.dtype)
    if scaled.ndim == 4:
        scaled = scaled.contiguous(memory_format=torch.channels_last)
    return scaled, offset.to(weight.dtype)
