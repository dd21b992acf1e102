"""What one operation costs: multiply-accumulates (MACs) and floating-point operations (FLOPs).

MACs are those of convolutions and matrix products, taps on the padding included, as papers count them:

    convolution        N · K · P · Q · (C / groups) · R · S     K filters of R x S on C channels, output P x Q
    transposed         N · C · H · W · (K / groups) · R · S     each input pixel stamps its filter
    matrix product     M · K · P                                (M, K) times (K, P); batched: times the batch
    attention          B · L · S · (E + V)                      L queries, S keys of E numbers, values of V numbers
    LSTM, GRU, RNN     T · N · gates · hidden · (input + hidden)  a layer and direction; it arises from matrix products

FLOPs are 2 · MACs, one more for each output that gets a bias, and for all else, whatever function it is: 1 an output
for elementwise operations; 1 an input for reductions and adaptive pooling; the window's size an output for pooling;
2 an element for batch norm with stored statistics, 7 for norms that compute their own; 5 for softmax; 7 an output for
bilinear and 31 for bicubic resizing. Views, copies, indexing, padding and new tensors cost 0.

An operation that stands in no table is unknown: None, never 0.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from convlens.graph import Node, Operand

Cost = tuple[int, int]  # MACs, FLOPs
PRODUCTS: dict[str, Callable[[Node], int]] = {}

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
    "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact2d", "_local_scalar_dense", "argsort",
    "sort", "topk", "rand", "randn", "rand_like", "randn_like",
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
BIASES = {"convolution": "bias", "addmm": "self", "baddbmm": "self", "addmv": "self", "linear": "bias"}


def cost(node: Node) -> Cost | None:
    """The (MACs, FLOPs) of one operation; None when it is unknown."""
    outputs = prod(node.output_shape)
    if node.op in PRODUCTS:
        macs = PRODUCTS[node.op](node)
        has_bias = isinstance(node.arguments.get(BIASES.get(node.op, "")), Operand)
        return macs, 2 * macs + (outputs if has_bias else 0)
    flops = _flops(node, outputs)
    return None if flops is None else (0, flops)


def _flops(node: Node, outputs: int) -> int | None:
    if node.op in FREE:
        return 0
    if node.op in PER_OUTPUT:
        return PER_OUTPUT[node.op] * outputs
    if node.op in WINDOWS:
        kernel, rank = node.arguments["kernel_size"], int(node.op.split("pool")[1][0])
        return outputs * (kernel[0] ** rank if len(kernel) == 1 else prod(kernel))
    if node.op in OWN_STATISTICS or (node.op in STORED_STATISTICS and node.arguments.get("training")):
        return 7 * outputs
    if node.op in STORED_STATISTICS:
        return 2 * outputs
    if node.op in ADAPTIVE or (node.is_reduction and "::" not in node.op):
        return prod(node.operands()[0].shape)
    if node.is_pointwise and "::" not in node.op:
        return outputs
    return None


def product(*names: str) -> Callable[[Callable[[Node], int]], Callable[[Node], int]]:
    def add(function: Callable[[Node], int]) -> Callable[[Node], int]:
        PRODUCTS.update(dict.fromkeys(names, function))
        return function

    return add


def _shape(node: Node, name: str) -> tuple[int, ...]:
    operand = node.arguments[name]
    assert isinstance(operand, Operand), f"{node.op} has no tensor '{name}'"
    return operand.shape


@product("convolution")
def _convolution(node: Node) -> int:
    weight = _shape(node, "weight")  # (K, C / groups, R, S), transposed (C, K / groups, R, S)
    places = _shape(node, "input") if node.arguments["transposed"] else node.output_shape
    return prod(places) * prod(weight[1:])


@product("addmm", "mm", "bmm", "baddbmm", "mv", "addmv", "dot", "vdot", "linear")
def _matrix_product(node: Node) -> int:
    """Each output is a dot product as long as the last dimension of the left factor."""
    left = next(name for name in ("mat1", "mat", "batch1", "input", "self") if name in node.arguments)
    return prod(node.output_shape) * _shape(node, left)[-1]


@product("addbmm")
def _summed_product(node: Node) -> int:
    return prod(_shape(node, "batch1")) * _shape(node, "batch2")[-1]


@product("addr")
def _outer_product(node: Node) -> int:
    return prod(node.output_shape)


@product("_trilinear")
def _bilinear_layer(node: Node) -> int:
    """x W y for each of K outputs: (1, I) times (I, J), then a dot product of J."""
    *_, left, right = _shape(node, "i2")
    return prod(node.output_shape) * (left * right + right)


@product(
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)
def _attention(node: Node) -> int:
    query, key, value = (_shape(node, name) for name in ("query", "key", "value"))
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


@product("mkldnn_rnn_layer")
def _lstm_on_cpu(node: Node) -> int:
    """One direction of one layer over (T, N, input), its four gates stacked in the weights."""
    steps = prod(_shape(node, "input")[:2])
    return steps * (prod(_shape(node, "weight0")) + prod(_shape(node, "weight1")))
