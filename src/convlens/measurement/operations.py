"""What one operation costs: multiply-accumulates (MACs) and floating-point operations (FLOPs), as formulas.

MACs are those of convolutions and matrix products, taps on the padding included, as papers count them:

    convolution        K·K·M·N·D·D          N kernels of side K on M channels, an output of side D
    grouped            K·K·(M/G)·N·D·D      each of G groups reads its own channels
    depthwise          K·K·M·D·D            each channel has one kernel, and reads itself
    transposed         K·K·M·(N/G)·d·d      each pixel of the input, of side d, stamps its kernel
    matrix product     L·M·N                (L, M) times (M, N); batched: B times
    attention          B·L·S·E + B·L·S·V    L queries, S keys of E numbers, values of V numbers
    LSTM, GRU, RNN     T·gates·H·I + T·gates·H·H  a layer and direction over T steps; it arises from matrix products

FLOPs are 2 · MACs, one more for each output that gets a bias, and for all else, whatever function it is: 1 an output
for elementwise operations; 1 an input for reductions and adaptive pooling; the window's size an output for pooling;
2 an element for batch norm with stored statistics, 7 for norms that compute their own; 5 for softmax; 7 an output for
bilinear and 31 for bicubic resizing. Views, copies, indexing, padding and new tensors cost 0.

An operation that stands in no table is unknown: None, never 0; so are products of complex numbers.
torch computes a complex convolution as three real ones, and they are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

from convlens.graph import Node, Operand
from convlens.measurement.formulas import Factor, Formula, elements, number, product, several, sides

Rule = Callable[[Node], Formula]
PRODUCTS: dict[str, Rule] = {}
NOTHING = Formula()

# fmt: off
FREE = frozenset({
    "view", "_unsafe_view", "reshape", "_reshape_alias", "transpose", "permute", "t", "squeeze", "unsqueeze",
    "expand", "select", "slice", "split", "split_with_sizes", "unsafe_split", "chunk", "unbind", "narrow",
    "diagonal", "as_strided", "detach", "alias", "lift_fresh", "unfold", "clone", "_to_copy", "copy", "contiguous",
    "cat", "stack", "repeat", "flip", "roll", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d",
    "reflection_pad3d", "replication_pad1d", "replication_pad2d", "replication_pad3d", "pixel_shuffle",
    "pixel_unshuffle", "channel_shuffle", "im2col", "index", "index_select", "gather", "embedding", "scatter",
    "index_put", "tril", "triu", "native_dropout", "dropout", "zeros", "ones", "full", "empty", "new_empty",
    "new_zeros", "new_ones", "new_full", "zeros_like", "ones_like", "full_like", "empty_like", "arange", "eye",
    "linspace", "scalar_tensor", "fill", "zero", "empty_strided", "new_empty_strided", "upsample_nearest1d",
    "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d",
    "_upsample_nearest_exact3d", "_local_scalar_dense", "argsort", "sort", "topk", "rand", "randn", "rand_like",
    "randn_like", "view_as_real", "view_as_complex",
})
# fmt: on
OWN_STATISTICS = frozenset({"native_group_norm", "native_layer_norm", "_fused_rms_norm", "_native_batch_norm_legit"})
ADAPTIVE = frozenset(
    {"_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d", "col2im"}
)
WINDOWS = frozenset({"max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d", "avg_pool2d", "avg_pool3d"})
PER_OUTPUT = {"_softmax": 5, "_log_softmax": 5, "_safe_softmax": 5, "upsample_linear1d": 3, "upsample_bilinear2d": 7}
PER_OUTPUT |= {
    "upsample_bicubic2d": 31,
    "cumsum": 1,
    "cumprod": 1,
    "glu": 2,
    "_weight_norm_interface": 4,
    "upsample_trilinear3d": 15,
}
STORED_STATISTICS = frozenset({"native_batch_norm", "_native_batch_norm_legit_no_training"})
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}  # torch's own, which stack the gates' weights
READS = {"weight_ih": "I", "weight_hh": "H"}
BIASES = {"convolution": "bias", "addmm": "self", "baddbmm": "self", "addmv": "self", "linear": "bias"}


class Cost(NamedTuple):
    macs: Formula
    flops: Formula


def cost(node: Node) -> Cost | None:
    """The MACs and FLOPs of one operation; None when it is unknown."""
    if node.op in PRODUCTS and node.is_complex:
        return None  # a complex product is four real ones, or three and more sums
    if node.op in PRODUCTS:
        macs = PRODUCTS[node.op](node)
        has_bias = isinstance(node.arguments.get(BIASES.get(node.op, "")), Operand)
        bias = product(_outputs(node)) if has_bias else NOTHING
        return Cost(macs, Formula((*macs.times(number(2)).terms, *bias.terms)))
    flops = _flops(node)
    return None if flops is None else Cost(NOTHING, flops)


def _flops(node: Node) -> Formula | None:
    outputs = elements(node.output_shape)
    if node.op in FREE:
        return NOTHING
    if node.op in PER_OUTPUT:
        return product(_times(PER_OUTPUT[node.op]), outputs)
    if node.op in WINDOWS:
        kernel, rank = node.arguments["kernel_size"], int(node.op.split("pool")[1][0])
        return product(sides("K", tuple(kernel) * (rank if len(kernel) == 1 else 1)), outputs)
    if node.op in OWN_STATISTICS or (node.op in STORED_STATISTICS and node.arguments.get("training")):
        return product(number(7), outputs)
    if node.op in STORED_STATISTICS:
        return product(number(2), outputs)
    if node.op in ADAPTIVE or (node.is_reduction and "::" not in node.op):
        return product(elements(node.operands()[0].shape, "d"))
    if node.is_pointwise and "::" not in node.op:
        return product(outputs)
    return None


def _outputs(node: Node) -> tuple[Factor, ...]:
    """Of a convolution B·N·D·D, of a matrix product L·N, as in its MACs."""
    if node.op == "convolution":
        batch, channels, *side = node.output_shape
        return (*several("B", batch), Factor("N", channels), *sides("D", tuple(side)))
    *before, rows, columns = (1, 1, *node.output_shape)
    return (*several("B", prod(before)), *several("L", rows), Factor("N", columns))


def _times(value: int) -> tuple[Factor, ...]:
    return () if value == 1 else (number(value),)


def rule(*names: str) -> Callable[[Rule], Rule]:
    def add(function: Rule) -> Rule:
        PRODUCTS.update(dict.fromkeys(names, function))
        return function

    return add


def _shape(node: Node, name: str) -> tuple[int, ...]:
    operand = node.arguments[name]
    assert isinstance(operand, Operand), f"{node.op} has no tensor '{name}'"
    return operand.shape


@rule("convolution")
def _convolution(node: Node) -> Formula:
    weight, groups = _shape(node, "weight"), node.arguments["groups"]
    kernel = sides("K", weight[2:])
    if node.arguments["transposed"]:  # the weight is (M, N / groups, K, K)
        batch, channels, *side = _shape(node, "input")
        stamped = Factor("(N/G)" if groups > 1 else "N", weight[1])
        return product(several("B", batch), kernel, Factor("M", channels), stamped, sides("d", tuple(side)))
    batch, channels, *side = node.output_shape  # the weight is (N, M / groups, K, K)
    output = sides("D", tuple(side))
    if groups > 1 and weight[1] == 1:
        return product(several("B", batch), kernel, Factor("M" if groups == channels else "N", channels), output)
    read = Factor("(M/G)" if groups > 1 else "M", weight[1])
    return product(several("B", batch), kernel, read, Factor("N", channels), output)


@rule("addmm", "mm", "bmm", "baddbmm", "mv", "addmv", "dot", "vdot", "linear")
def _matrix_product(node: Node) -> Formula:
    """Each output is a dot product as long as the last dimension of the left factor."""
    left = next(name for name in ("mat1", "mat", "batch1", "input", "self") if name in node.arguments)
    *before, rows, columns = (1, 1, *node.output_shape)
    inner, gates = _shape(node, left)[-1], GATES.get(node.module_type, 0)
    reads = next((letter for part, letter in READS.items() if any(part in name for name in node.parameters)), None)
    if gates and reads:
        return product(several("B", rows), _times(gates), Factor("H", columns // gates), Factor(reads, inner))
    return product(several("B", prod(before)), several("L", rows), Factor("M", inner), Factor("N", columns))


@rule("addbmm")
def _summed_product(node: Node) -> Formula:
    batch, rows, inner = _shape(node, "batch1")
    columns = _shape(node, "batch2")[-1]
    return product(several("B", batch), several("L", rows), Factor("M", inner), Factor("N", columns))


@rule("addr")
def _outer_product(node: Node) -> Formula:
    rows, columns = node.output_shape
    return product(Factor("M", rows), Factor("N", columns))


@rule("_trilinear")
def _bilinear_layer(node: Node) -> Formula:
    """x W y for each of N outputs: (1, I) times (I, J), then a dot product of J."""
    *_, left, right = _shape(node, "i2")
    outputs, second = elements(node.output_shape), Factor("J", right)
    return Formula(((*outputs, Factor("I", left), second), (*outputs, second)))


@rule(
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)
def _attention(node: Node) -> Formula:
    query, key, value = (_shape(node, name) for name in ("query", "key", "value"))
    pairs = (*several("B", prod(query[:-2])), Factor("L", query[-2]), Factor("S", key[-2]))
    return Formula(((*pairs, Factor("E", query[-1])), (*pairs, Factor("V", value[-1]))))


@rule("mkldnn_rnn_layer")
def _lstm_on_cpu(node: Node) -> Formula:
    """One direction of one layer over (T, N, input), its four gates stacked in the weights."""
    steps, batch, _ = _shape(node, "input")
    shared = (*several("B", batch), *several("T", steps))
    weights = zip("IH", (_shape(node, name) for name in ("weight0", "weight1")), strict=True)
    return Formula(
        tuple(
            (*shared, number(4), Factor("H", rows // 4), Factor(letter, length)) for letter, (rows, length) in weights
        )
    )
