"""How each operation changes what its units see: the receptive field through branches, sums and concatenations.

Every rule says, for unit o of the output, which units of the input it reads. An operation without a rule is taken to
see all that its inputs see, so the field is never too small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np

from convlens.graph.fields import AxisField, ReceptiveField, summary
from convlens.graph.layout import Shape, Sight, axes_of, merged, plain
from convlens.graph.nodes import NETWORK_INPUT, Node, Operand

Rule = Callable[[Node, list[Sight]], Sight]
RULES: dict[str, Rule] = {}


def receptive_fields(
    nodes: Sequence[Node], input_shapes: Sequence[Shape], *, gates: bool = True
) -> tuple[ReceptiveField | None, ...]:
    """One for each node; None where it hangs on no picture. Without `gates` see `_without_gates`."""
    picture = next((shape for shape in input_shapes if len(shape) >= 3), ())
    sights: dict[int, Sight | None] = {}
    for node in nodes:
        sights[node.index] = _sight_of(node, sights, picture, gates)
    return tuple(None if sight is None else summary(sight.fields) for sight in sights.values())


def _sight_of(node: Node, sights: dict[int, Sight | None], picture: Shape, gates: bool) -> Sight | None:
    def of(operand: Operand) -> Sight | None:
        if operand.node is None:
            return None
        if operand.node == NETWORK_INPUT:
            return _of_picture(operand.shape, picture)
        sight = sights[operand.node]
        return None if sight is None else sight.fitted(operand.shape)

    operands = node.operands()
    seen = [sight for operand in operands if (sight := of(operand)) is not None]
    if not gates and node.is_pointwise:
        seen = _without_gates(seen)
    direct = {operand.node for operand in operands}
    # Memory that another operation wrote meanwhile, through a view: its sight joins in.
    late = [sight for i in node.inputs if i not in direct and i >= 0 and (sight := sights[i]) is not None]
    if not seen and not late:
        return None
    sight = _ruled(node, seen, operands) if seen else late[0].all_mixed(node.output_shape)
    return _joined(sight, late)


def _without_gates(seen: list[Sight]) -> list[Sight]:
    """Leaves out what is the same at all positions, as the gate of squeeze and excite, beside what is not."""
    return [sight for sight in seen if axes_of(sight.dims)] or seen


def _ruled(node: Node, seen: list[Sight], operands: tuple[Operand, ...]) -> Sight:
    rule = RULES.get(node.op, pointwise if node.is_pointwise else reduce if node.is_reduction else anything)
    data = [operand.node is not None for operand in operands]
    if rule is matrix_product and (sum(data) != 1 or len(seen) != 1):
        rule = anything
    sight = rule(node, seen)
    return sight if sight.shape == node.output_shape else sight.all_mixed(node.output_shape)


def _joined(sight: Sight, late: list[Sight]) -> Sight:
    for other in late:
        shared = axes_of(sight.dims) & axes_of(other.dims)
        same = all(len(sight.fields[a].low) == len(other.fields[a].low) for a in shared)
        if same and shared == set(range(len(sight.fields))):
            fields = tuple(a.union(b) for a, b in zip(sight.fields, other.fields, strict=True))
            sight = Sight(sight.dims, fields)
        else:
            whole = other.mixed(range(len(other.fields)), keep=False)
            fields = tuple(a.union(b) for a, b in zip(sight.fields, whole.fields, strict=True))
            sight = Sight(sight.dims, fields)
    return sight


def _of_picture(shape: Shape, picture: Shape) -> Sight | None:
    """(N, C, H, W): everything after the channels is an axis; another input counts if it is as large as the first."""
    if not picture or shape[2:] != picture[2:]:
        return None
    sizes = picture[2:]
    dims = (plain(shape[0]), plain(shape[1]), *(((size, axis),) for axis, size in enumerate(sizes)))
    return Sight(dims, tuple(AxisField.of_picture(size) for size in sizes))


def rule(*names: str) -> Callable[[Rule], Rule]:
    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return add


def each(value: Any, count: int) -> tuple[int, ...]:
    """[2] for every dimension, [2, 1] for two: as torch's schema has them."""
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return values * count if len(values) == 1 else values


def anything(node: Node, seen: list[Sight]) -> Sight:
    """All that any input sees."""
    sights = [sight.all_mixed(node.output_shape) for sight in seen]
    return merged(sights, node.output_shape)


@rule("detach", "alias", "lift_fresh", "channel_shuffle")
def pointwise(node: Node, seen: list[Sight]) -> Sight:
    return merged(seen, node.output_shape)


def along(sight: Sight, place: int, first: np.ndarray, last: np.ndarray, scale: Fraction) -> Sight:
    """Dimension `place` is read anew: unit o reads first[o] to last[o]; `scale` multiplies the stride."""
    dim = sight.dims[place]
    if len(dim) == 1 and dim[0][1] is not None:
        axis = dim[0][1]
        field = sight.fields[axis]
        moved = sight.with_field(axis, field.gather(first, last, field.stride * scale))
        return moved.with_dim(place, ((len(first), axis),))
    return sight.mixed(axes_of([dim]), keep=False).with_dim(place, plain(len(first)))


@rule("convolution")
def convolution(node: Node, seen: list[Sight]) -> Sight:
    """Unit o reads o * stride - padding + t * dilation, for the taps t; transposed, the other way round."""
    if len(seen) != 1:
        return anything(node, seen)
    given, weight = node.arguments, node.arguments["weight"].shape
    sight = seen[0].mixed(axes_of(seen[0].dims[1:2]), keep=False).with_dim(1, plain(node.output_shape[1]))
    rank = len(weight) - 2
    windows = zip(
        weight[2:], *(each(given[k], rank) for k in ("stride", "padding", "dilation")), range(2, 2 + rank), strict=True
    )
    for kernel, stride, padding, dilation, place in windows:
        units = np.arange(node.output_shape[place])
        if given["transposed"]:
            first, last = transposed_taps(units + padding, kernel, stride, dilation)
            sight = along(sight, place, first, last, Fraction(1, stride))
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
            sight = sight.mixed(axes_of(sight.dims[place : place + 1]), keep=False).with_dim(place, plain(1))
            continue
        units = np.arange(k)
        sight = along(sight, place, units * n // k, -(-(units + 1) * n // k) - 1, Fraction(n, k))
    return sight


@rule("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact2d")
@rule(
    "upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d", "_upsample_bilinear2d_aa"
)
def upsampling(node: Node, seen: list[Sight]) -> Sight:
    """Nearest reads one unit, linear the two around it, cubic four."""
    sight = seen[0]
    for place in range(2, len(sight.dims)):
        n, k = sight.shape[place], node.output_shape[place]
        if n == k:
            continue
        first, last = _interpolated(node, n, k)
        sight = along(sight, place, np.clip(first, 0, n - 1), np.clip(last, 0, n - 1), Fraction(n, k))
    return sight


def _interpolated(node: Node, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    units = np.arange(k)
    if "nearest" in node.op:
        index = (2 * units + 1) * n // (2 * k) if "exact" in node.op else units * n // k
        return index, index
    if node.arguments.get("align_corners") and k > 1:
        numerator, denominator = units * (n - 1), k - 1
    else:
        numerator, denominator = (2 * units + 1) * n - k, 2 * k
    reach = ceil(n / k) if node.op.endswith("aa") else 1 if "cubic" in node.op else 0
    return numerator // denominator - reach, -(-numerator // denominator) + reach


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
    sight, shuffle = seen[0], node.op == "pixel_shuffle"
    r = node.arguments["upscale_factor" if shuffle else "downscale_factor"]
    for place in (-2 % len(sight.dims), -1 % len(sight.dims)):
        units = np.arange(node.output_shape[place])
        first, last = (units // r, units // r) if shuffle else (units * r, units * r + r - 1)
        sight = along(sight, place, first, last, Fraction(1, r) if shuffle else Fraction(r))
    return sight.with_dim(-3 % len(sight.dims), plain(node.output_shape[-3]))


@rule("view", "_unsafe_view", "reshape", "squeeze", "unsqueeze", "_reshape_alias")
def view(node: Node, seen: list[Sight]) -> Sight:
    return seen[0].viewed(node.output_shape)


@rule("permute", "transpose", "t")
def permute(node: Node, seen: list[Sight]) -> Sight:
    sight, order = seen[0], list(range(len(seen[0].dims)))
    if node.op == "permute":
        order = [d % len(order) for d in node.arguments["dims"]]
    elif len(order) >= 2:
        one, two = (node.arguments.get(k, d) % len(order) for k, d in (("dim0", 0), ("dim1", 1)))
        order[one], order[two] = order[two], order[one]
    return Sight(tuple(sight.dims[d] for d in order), sight.fields)


@rule("expand")
def expand(node: Node, seen: list[Sight]) -> Sight:
    return merged(seen, node.output_shape)


@rule("select")
def select(node: Node, seen: list[Sight]) -> Sight:
    sight, place = seen[0], node.arguments["dim"] % len(seen[0].dims)
    index = np.array([node.arguments["index"] % sight.shape[place]])
    moved = along(sight, place, index, index, Fraction(1))
    return Sight(moved.dims[:place] + moved.dims[place + 1 :], moved.fields)


@rule("slice")
def slice_(node: Node, seen: list[Sight]) -> Sight:
    given, sight = node.arguments, seen[0]
    place = given["dim"] % len(sight.dims)
    n, units = sight.shape[place], np.arange(node.output_shape[place])
    if len(units) == n:
        return sight
    start = given["start"] or 0
    index = max(start + n, 0) + units * given["step"] if start < 0 else start + units * given["step"]
    return along(sight, place, index, index, Fraction(given["step"]))


@rule("index", "index_select")
def index(node: Node, seen: list[Sight]) -> Sight:
    """One list of places along one dimension (channels, as a rule): exact beside the axes of the picture."""
    given, sight = node.arguments, seen[0]
    places = [given["dim"]] if "dim" in given else [d for d, one in enumerate(given["indices"]) if one is not None]
    if len(seen) != 1 or len(places) != 1 or len(node.output_shape) != len(sight.dims):
        return anything(node, seen)
    place = places[0] % len(sight.dims)
    sight = sight.mixed(axes_of(sight.dims[place : place + 1]), keep=False)
    return sight.with_dim(place, plain(node.output_shape[place]))


@rule("split", "split_with_sizes", "unsafe_split", "chunk", "unbind")
def split(node: Node, seen: list[Sight]) -> Sight:
    """Exact along channels; parts along an axis of the picture are each taken to see all."""
    sight, place = seen[0], node.arguments["dim"] % len(seen[0].dims)
    sight = sight.mixed(axes_of(sight.dims[place : place + 1]), keep=False)
    if node.op == "unbind":
        return Sight(sight.dims[:place] + sight.dims[place + 1 :], sight.fields)
    return sight.with_dim(place, plain(node.output_shape[place]))


@rule("cat", "stack")
def concatenate(node: Node, seen: list[Sight]) -> Sight:
    place = node.arguments["dim"] % len(node.output_shape)
    if node.op == "stack":
        seen = [Sight((*s.dims[:place], plain(1), *s.dims[place:]), s.fields) for s in seen]
    parts = [s.mixed(axes_of(s.dims[place : place + 1]), keep=False) for s in seen]
    size = node.output_shape[place]
    return merged([part.with_dim(place, plain(size)) for part in parts], node.output_shape)


@rule("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm")
def batch_norm(node: Node, seen: list[Sight]) -> Sight:
    """Its stored statistics see nothing; those of the batch see every position."""
    return seen[0].mixed(range(len(seen[0].fields)), keep=True) if node.arguments.get("training") else seen[0]


@rule("native_group_norm")
def group_norm(node: Node, seen: list[Sight]) -> Sight:
    return seen[0].mixed(range(len(seen[0].fields)), keep=True)


@rule("native_layer_norm", "_fused_rms_norm")
def layer_norm(node: Node, seen: list[Sight]) -> Sight:
    sight = seen[0]
    return sight.mixed(axes_of(sight.dims[-len(node.arguments["normalized_shape"]) :]), keep=True)


@rule("_softmax", "_log_softmax", "_safe_softmax", "cumsum", "logcumsumexp")
def along_one_dimension(node: Node, seen: list[Sight]) -> Sight:
    sight, place = seen[0], node.arguments["dim"] % len(seen[0].dims)
    return sight.mixed(axes_of(sight.dims[place : place + 1]), keep=True)


def reduce(node: Node, seen: list[Sight]) -> Sight:
    """mean, sum, amax, var …: the named dimensions (all without a name) see everything along them."""
    sight, dim = seen[0], node.arguments.get("dim")
    named = () if dim is None else each(dim, 1)
    gone = {d % len(sight.dims) for d in named} or set(range(len(sight.dims)))
    sight = sight.mixed(axes_of(sight.dims[d] for d in gone), keep=False)
    if len(node.output_shape) == len(sight.dims):
        return Sight(tuple(plain(1) if d in gone else dim for d, dim in enumerate(sight.dims)), sight.fields)
    return Sight(tuple(dim for d, dim in enumerate(sight.dims) if d not in gone), sight.fields)


@rule("addmm", "mm", "bmm", "baddbmm", "linear", "mv", "addmv")
def matrix_product(node: Node, seen: list[Sight]) -> Sight:
    """(…, M, K) times weights: what runs along K is mixed, what runs along M stays."""
    given, sight = node.arguments, seen[0]
    left = next(
        given[k] for k in ("mat1", "batch1", "input", "self") if k in given and (k != "self" or "mat1" not in given)
    )
    if left.node is None:
        return anything(node, seen)
    sight = sight.mixed(axes_of(sight.dims[-1:]), keep=False)
    if len(node.output_shape) < len(sight.dims):
        return Sight(sight.dims[:-1], sight.fields)
    return sight.with_dim(len(sight.dims) - 1, plain(node.output_shape[-1]))
