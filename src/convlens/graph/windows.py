"""Operations that read windows: convolutions, poolings, unfolding, resizing, padding, pixel shuffles."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np
import torch

from convlens.graph.factors import Factor, plain
from convlens.graph.layout import Sight
from convlens.graph.nodes import Node
from convlens.graph.rules import along, anything, each, rule


@rule("convolution")
def convolution(node: Node, seen: list[Sight]) -> Sight:
    """Unit o reads o * stride - padding + t * dilation, for the taps t; transposed, the other way round."""
    if len(seen) != 1:
        return anything(node, seen)
    given, weight = node.arguments, node.arguments["weight"].shape
    grouped = given["groups"] > 1  # each group reads some of the channels
    sight = seen[0].mixed([1], keep=False, exact=not grouped).with_dim(1, plain(node.output_shape[1]))
    sight = sight if grouped else replace(sight, uneven=False)
    rank = len(weight) - 2
    windows = zip(
        weight[2:], *(each(given[k], rank) for k in ("stride", "padding", "dilation")), range(2, 2 + rank), strict=True
    )
    for kernel, stride, padding, dilation, place in windows:
        units = np.arange(node.output_shape[place])
        if given["transposed"]:
            first, last = transposed_taps(units + padding, kernel, stride, dilation)
            sight = along(sight, place, first, last, Fraction(1, stride))
            sight = sight if stride <= kernel else replace(sight, uneven=True).narrowed()  # some units see nothing
        else:
            first = units * stride - padding
            sight = along(sight, place, first, first + (kernel - 1) * dilation, Fraction(stride))
    return sight


def transposed_taps(shifted: np.ndarray, kernel: int, stride: int, dilation: int) -> tuple[np.ndarray, np.ndarray]:
    """Input i reaches output i * stride + t * dilation - padding; a unit that none reaches is given its neighbour."""
    offsets = shifted[:, None] - np.arange(kernel) * dilation
    reached = offsets % stride == 0
    inputs = offsets // stride
    first = np.where(reached, inputs, np.iinfo(np.int64).max).min(axis=1)
    last = np.where(reached, inputs, np.iinfo(np.int64).min).max(axis=1)
    nobody = ~reached.any(axis=1)
    nearest = shifted // stride
    return np.where(nobody, nearest, first), np.where(nobody, nearest, last)


@rule("max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool2d", "avg_pool1d", "avg_pool2d", "avg_pool3d")
def pooling(node: Node, seen: list[Sight]) -> Sight:
    given, sight = node.arguments, seen[0]
    rank = int(node.op.split("pool")[1][0])
    kernels = each(given["kernel_size"], rank)
    strides = each(given["stride"], rank) if given["stride"] else kernels
    paddings, dilations = each(given["padding"], rank), each(given.get("dilation", 1), rank)
    for axis in range(rank):
        place = len(sight.dims) - rank + axis
        first = np.arange(node.output_shape[place]) * strides[axis] - paddings[axis]
        last = first + (kernels[axis] - 1) * dilations[axis]
        sight = along(sight, place, first, last, Fraction(strides[axis]))
    return sight


@rule(
    "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d", "adaptive_avg_pool2d"
)
def adaptive_pooling(node: Node, seen: list[Sight]) -> Sight:
    """Unit o of k reads floor(o n / k) to ceil((o + 1) n / k) - 1; one unit reads the whole picture."""
    sight = seen[0]
    rank = int(node.op.split("pool")[1][0])
    for place in range(len(sight.dims) - rank, len(sight.dims)):
        n, k = sight.shape[place], node.output_shape[place]
        if k == 1:
            sight = sight.mixed([place], keep=False).with_dim(place, plain(1))
            continue
        units = np.arange(k)
        sight = along(sight, place, units * n // k, -(-(units + 1) * n // k) - 1, Fraction(n, k))
    return sight


@rule("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")
@rule("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d")
@rule("upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d")
@rule("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "_upsample_lanczos2d_aa")
def upsampling(node: Node, seen: list[Sight]) -> Sight:
    """Nearest reads one unit, linear the two around it, cubic four; antialiased, all in a window."""
    sight, given = seen[0], node.arguments
    # (N, C, L), (N, C, H, W), (N, C, D, H, W): one scale each, where the caller gave it and not the size
    names = {3: ("scales",), 4: ("scales_h", "scales_w"), 5: ("scales_d", "scales_h", "scales_w")}[len(sight.dims)]
    for place, name in enumerate(names, 2):
        n, k, scale = sight.shape[place], node.output_shape[place], given[name]
        if n == k and scale in (None, 1):
            continue
        first, last = interpolated(node.op, len(names), n, k, scale, given.get("align_corners"))
        sight = along(sight, place, first, last, Fraction(n, k))
    return sight


@lru_cache(maxsize=256)
def interpolated(
    op: str, rank: int, n: int, k: int, scale: float | None, align_corners: bool | None
) -> tuple[np.ndarray, np.ndarray]:
    """First and last unit that k units read of n, asked of torch itself: it computes places in float32.

    So 22 units of 26 read the 12th at 11, where 11 · 26 / 22 is 13.
    """
    units = torch.eye(n, device="cpu").view(1, n, *[1] * (rank - 1), n)
    corners = () if align_corners is None else (align_corners,)
    resize = getattr(torch.ops.aten, op).default
    weights = resize(units, (*[1] * (rank - 1), k), *corners, *[None] * (rank - 1), scale)
    read = weights.view(n, k).numpy() != 0
    return read.argmax(axis=0), n - 1 - read[::-1].argmax(axis=0)


@rule("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d")
def padding(node: Node, seen: list[Sight]) -> Sight:
    sight = seen[0]
    amounts = node.arguments.get("pad", node.arguments.get("padding"))
    for back, (left, right) in enumerate(zip(amounts[::2], amounts[1::2], strict=True)):
        place = len(sight.dims) - 1 - back
        if left == right == 0:
            continue
        n = sight.shape[place]
        index = np.arange(-left, n + right)
        if node.op.startswith("reflection"):
            index = (n - 1) - np.abs((n - 1) - np.abs(index))
        elif node.op.startswith("replication"):
            index = np.clip(index, 0, n - 1)
        sight = along(sight, place, index, index, Fraction(1))
    return sight


@rule("pixel_shuffle", "pixel_unshuffle")
def pixel_shuffle(node: Node, seen: list[Sight]) -> Sight:
    """Channels that come from different pixels see different things."""
    shuffle, count = node.op == "pixel_shuffle", len(seen[0].dims)
    sight = seen[0].mixed([count - 3], keep=False, exact=not shuffle)
    r = node.arguments["upscale_factor" if shuffle else "downscale_factor"]
    for place in (count - 2, count - 1):
        units = np.arange(node.output_shape[place])
        first, last = (units // r, units // r) if shuffle else (units * r, units * r + r - 1)
        sight = along(sight, place, first, last, Fraction(1, r) if shuffle else Fraction(r))
    sight = sight.narrowed() if shuffle else replace(sight, uneven=True)
    return sight.with_dim(count - 3, plain(node.output_shape[-3]))


@rule("im2col")
def unfolded(node: Node, seen: list[Sight]) -> Sight:
    """(N, C, H, W) -> (N, C · taps, windows): every tap of every window walks along the picture."""
    given, sight = node.arguments, seen[0]
    if len(sight.dims) != 4:
        return anything(node, seen)
    taps: list[Factor] = []
    windows: list[Factor] = []
    for axis, place in enumerate((2, 3)):
        kernel, stride, padding, dilation = (
            each(given[k], 2)[axis] for k in ("kernel_size", "stride", "padding", "dilation")
        )
        count = (sight.shape[place] + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        sight = windowed(sight, place, np.arange(count) * stride - padding, np.arange(kernel) * dilation)
        windows += sight.dims[place][:-1]
        taps += sight.dims[place][-1:]
    return Sight((sight.dims[0], (*sight.dims[1], *taps), tuple(windows)), sight.fields)


@rule("unfold")
def sliding(node: Node, seen: list[Sight]) -> Sight:
    """Tensor.unfold: the windows stay along the dimension, their taps are a new, last one."""
    given, sight = node.arguments, seen[0]
    place = given["dimension"] % len(sight.dims)
    starts = np.arange(node.output_shape[place]) * given["step"]
    sight = windowed(sight, place, starts, np.arange(given["size"]))
    *windows, taps = sight.dims[place]
    return Sight((*sight.with_dim(place, tuple(windows)).dims, (taps,)), sight.fields)


def windowed(sight: Sight, place: int, starts: np.ndarray, taps: np.ndarray) -> Sight:
    """Dimension `place` becomes (windows, taps), which overlap as they will."""
    units = (starts[:, None] + taps).ravel()
    stride = Fraction(int(starts[1] - starts[0])) if len(starts) > 1 else Fraction(1)
    sight = along(sight, place, units, units, stride)
    (factor,) = sight.dims[place]
    windows = Factor(len(starts), factor.axis, factor.step * len(taps))
    return sight.with_dim(place, (windows, Factor(len(taps), factor.axis, factor.step)))
