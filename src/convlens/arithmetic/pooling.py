"""Pooling: the largest number of a window, or their mean.

Padding takes no part in a maximum. In a mean it counts as zeros where `count_include_pad` says so, but for what hangs
over the padding too, as a last window of `ceil_mode` may.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from convlens.arithmetic.asked import Asked, Read, gathered, rule
from convlens.arithmetic.convolution import each_way, times
from convlens.arithmetic.places import Index, Window
from convlens.arithmetic.steps import Step, WindowStep
from convlens.graph.rules import each


@rule("max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices")
def max_pooling(asked: Asked) -> Step:
    x = asked.must("self")
    kernel, stride, padding, along = _windows(asked)
    return _largest(asked, x, along, f"max pooling {_words(kernel, stride, padding)}")


@rule("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def adaptive_max_pooling(asked: Asked) -> Step:
    x, along = asked.must("self"), _shares(asked)
    return _largest(asked, x, along, f"max pooling of a window of {times(tuple(map(len, along)))}")


@rule("avg_pool1d", "avg_pool2d", "avg_pool3d")
def average_pooling(asked: Asked) -> Step:
    x = asked.must("self")
    kernel, stride, padding, along = _windows(asked)
    sides = x.shape[len(x.shape) - len(kernel) :]
    divisor = asked.plain("divisor_override")
    if divisor is None:
        margins = padding if asked.plain("count_include_pad", True) else (0,) * len(kernel)
        divisor = prod(
            sum(-margin <= at < side + margin for at in taps)
            for taps, side, margin in zip(along, sides, margins, strict=True)
        )
    return _mean(asked, x, along, float(divisor), f"average pooling {_words(kernel, stride, padding)}")


@rule("adaptive_avg_pool1d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool2d")
def adaptive_average_pooling(asked: Asked) -> Step:
    x, along = asked.must("self"), _shares(asked)
    sides = tuple(map(len, along))
    return _mean(asked, x, along, float(prod(sides)), f"average pooling of a window of {times(sides)}")


def _windows(asked: Asked) -> tuple[Index, Index, Index, list[Index]]:
    """(kernel, stride, padding) and the taps along each axis."""
    given = asked.plain("kernel_size")
    digits = [letter for letter in asked.node.op if letter.isdigit()]
    rank = int(digits[0])
    kernel, padding = each(given, rank), each(asked.plain("padding", 0), rank)
    stride = each(asked.plain("stride") or given, rank)
    dilation = each(asked.plain("dilation", 1), rank)
    along = [
        tuple(at * step - margin + tap * apart for tap in range(side))
        for at, side, step, margin, apart in zip(asked.index[-rank:], kernel, stride, padding, dilation, strict=True)
    ]
    return kernel, stride, padding, along


def _shares(asked: Asked) -> list[Index]:
    """Unit o of k along n numbers takes floor(o·n/k) to ceil((o+1)·n/k), the last left out."""
    rank = int(next(letter for letter in asked.node.op if letter.isdigit()))
    x, output = asked.must("self").shape, asked.node.output_shape
    places = zip(asked.index[-rank:], x[-rank:], output[-rank:], strict=True)
    return [tuple(range(at * n // k, -(-(at + 1) * n // k))) for at, n, k in places]


def _window(asked: Asked, x: Read, along: list[Index]) -> tuple[Window, np.ndarray, np.ndarray]:
    index = (*((at,) for at in asked.index[: -len(along)]), *along)
    inputs, outside = gathered(x.tensor, index)
    shape = tuple(map(len, along))
    return asked.window(x, index), inputs.reshape(shape), outside.reshape(shape)


def _largest(asked: Asked, x: Read, along: list[Index], title: str) -> Step:
    reads, inputs, padded = _window(asked, x, along)
    candidates = np.where(padded, -np.inf, inputs)
    broken = np.isnan(candidates)
    chosen = np.unravel_index(int((broken if broken.any() else candidates).argmax()), inputs.shape)
    place = tuple(int(at) for at in chosen)
    shown: dict[str, Any] = {"inputs": inputs, "padded": padded, "reads": reads, "chosen": place}
    own = asked.own
    return WindowStep(
        op="max pooling", title=title, formula="the largest x", computed=float(inputs[place]), **shown, **own
    )


def _mean(asked: Asked, x: Read, along: list[Index], divisor: float, title: str) -> Step:
    reads, inputs, padded = _window(asked, x, along)
    shown: dict[str, Any] = {"inputs": inputs, "padded": padded, "reads": reads, "divisor": divisor}
    computed = float(inputs.sum() / divisor)
    return WindowStep(op="average pooling", title=title, formula="Σ x / n", computed=computed, **shown, **asked.own)


def _words(kernel: Index, stride: Index, padding: Index) -> str:
    parts = [times(kernel), f"stride {each_way(stride)}"]
    return ", ".join([*parts, f"padding {each_way(padding)}"] if max(padding) else parts)
