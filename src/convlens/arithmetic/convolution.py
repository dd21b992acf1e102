"""A convolution's unit: the window that its kernel lies on, times the kernel, summed, and the bias.

y[k, p] = Σ_c Σ_t w[k, c, t] · x[g + c, p · stride − padding + t · dilation] + b[k], where g is the first channel of the
group of k. A transposed convolution turns this round: y[k, q] gathers each x[c, p] that its kernel stamps on q.
"""

from __future__ import annotations

from math import prod

from convlens.arithmetic.asked import Asked, Read, gathered, rule
from convlens.arithmetic.places import Index
from convlens.arithmetic.steps import Step, WindowStep
from convlens.errors import counted
from convlens.graph.rules import each


@rule("convolution")
def convolution(asked: Asked) -> Step:
    x, weight, bias = asked.must("input"), asked.must("weight"), asked.read("bias")
    transposed = asked.plain("transposed", False)
    picture, channel, *position = asked.index
    rank = len(position)
    stride, padding, dilation = (each(asked.plain(name), rank) for name in ("stride", "padding", "dilation"))
    kernel = weight.shape[2:]
    taps = _stamped if transposed else _under
    along = [taps(*one) for one in zip(position, kernel, stride, padding, dilation, strict=True)]
    channels, filters = _of_group(asked, weight, channel, x.shape[1], transposed=transposed)
    index = ((picture,), channels, *along)
    inputs, outside = gathered(x.tensor, index)
    weights, _ = gathered(weight.tensor, (*filters, *(tuple(range(side)) for side in kernel)))
    inputs, padded = inputs[0], outside[0].any(0)
    weights = weights.reshape(inputs.shape)
    sums = (inputs * weights).reshape(len(channels), -1).sum(1)
    own = None if bias is None else bias.number((channel,))
    return WindowStep(
        op="transposed convolution" if transposed else "convolution",
        title=_title(asked, kernel, stride, padding, dilation, len(channels), weight),
        formula="Σ w·x" if own is None else "Σ w·x + b",
        reads=asked.window(x, index),
        inputs=inputs,
        weights=weights,
        padded=padded,
        channel_sums=sums,
        bias=own,
        computed=float(sums.sum() + (own or 0.0)),
        **asked.own,
    )


def _under(at: int, kernel: int, stride: int, padding: int, dilation: int) -> Index:
    """Where along one axis the taps of the kernel lie."""
    return tuple(at * stride - padding + tap * dilation for tap in range(kernel))


def _stamped(at: int, kernel: int, stride: int, padding: int, dilation: int) -> Index:
    """Whose kernel reaches here with each tap: -1 where nobody's does."""
    offsets = (at + padding - tap * dilation for tap in range(kernel))
    return tuple(offset // stride if offset >= 0 and offset % stride == 0 else -1 for offset in offsets)


def _of_group(
    asked: Asked, weight: Read, channel: int, num_inputs: int, *, transposed: bool
) -> tuple[Index, tuple[Index, Index]]:
    """The input channels that the unit reads, and where in the weight (first, second dimension) its kernels are."""
    groups = asked.plain("groups", 1)
    per_group = num_inputs // groups
    outputs = weight.shape[1] if transposed else weight.shape[0] // groups
    first = channel // outputs * per_group
    channels = tuple(range(first, first + per_group))
    if transposed:
        return channels, (channels, (channel % outputs,))
    return channels, ((channel,), tuple(range(per_group)))


def _title(
    asked: Asked, kernel: Index, stride: Index, padding: Index, dilation: Index, num_channels: int, weight: Read
) -> str:
    groups = asked.plain("groups", 1)
    depthwise = groups > 1 and num_channels == 1
    kind = "depthwise " if depthwise else "pointwise " if prod(kernel) == 1 else ""
    kind += "transposed " if asked.plain("transposed", False) else ""
    parts = [f"{kind}convolution {times(kernel)}"]
    parts += [f"stride {each_way(stride)}"] if max(stride) > 1 else []
    parts += [f"padding {each_way(padding)}"] if max(padding) > 0 else []
    parts += [f"dilation {each_way(dilation)}"] if max(dilation) > 1 else []
    parts += [f"{groups} groups"] if groups > 1 and not depthwise else []
    return ", ".join([*parts, counted(num_channels, "input channel")])


def times(sides: Index) -> str:
    """(3, 5) as "3×5"."""
    return "×".join(map(str, sides))


def each_way(sides: Index) -> str:
    """(2, 2) as "2", (2, 1) as "2×1"."""
    return str(sides[0]) if len(set(sides)) == 1 else times(sides)
