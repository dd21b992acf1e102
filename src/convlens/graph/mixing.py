"""Operations that mix whole dimensions: norms, softmax, reductions, matrix products."""

from __future__ import annotations

from dataclasses import replace

from convlens.graph.factors import plain
from convlens.graph.layout import Sight
from convlens.graph.nodes import Node
from convlens.graph.rules import anything, each, rule


@rule("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm")
def batch_norm(node: Node, seen: list[Sight]) -> Sight:
    """Its stored statistics see nothing; those of the batch see every position."""
    return seen[0].mixed(range(len(seen[0].dims)), keep=True) if node.arguments.get("training") else seen[0]


@rule("native_group_norm")
def group_norm(node: Node, seen: list[Sight]) -> Sight:
    return seen[0].mixed(range(len(seen[0].dims)), keep=True)


@rule("native_layer_norm", "_fused_rms_norm")
def layer_norm(node: Node, seen: list[Sight]) -> Sight:
    sight = seen[0]
    count = len(sight.dims)
    return sight.mixed(range(count - len(node.arguments["normalized_shape"]), count), keep=True)


@rule("_softmax", "_log_softmax", "_safe_softmax", "cumsum", "logcumsumexp")
def along_one_dimension(node: Node, seen: list[Sight]) -> Sight:
    """A sum up to each place sees at most what all places see."""
    sight, place = seen[0], node.arguments["dim"] % len(seen[0].dims)
    return sight.mixed([place], keep=True, exact="cumsum" not in node.op)


def reduce(node: Node, seen: list[Sight]) -> Sight:
    """mean, sum, amax, var …: the named dimensions (all without a name) see everything along them."""
    sight, dim = seen[0], node.arguments.get("dim")
    named = () if dim is None else each(dim, 1)
    gone = {d % len(sight.dims) for d in named} or set(range(len(sight.dims)))
    sight = sight.mixed(gone, keep=False)
    if len(node.output_shape) == len(sight.dims):
        return Sight(tuple(plain(1) if d in gone else dim for d, dim in enumerate(sight.dims)), sight.fields)
    return Sight(tuple(dim for d, dim in enumerate(sight.dims) if d not in gone), sight.fields)


@rule("addmm", "mm", "bmm", "baddbmm", "linear", "mv", "addmv")
def matrix_product(node: Node, seen: list[Sight]) -> Sight:
    """(…, M, K) times weights, or weights times (…, K, N): what runs along K is mixed, what runs along M or N stays."""
    given, sight = node.arguments, seen[0]
    left = next(
        given[k] for k in ("mat1", "batch1", "input", "self") if k in given and (k != "self" or "mat1" not in given)
    )
    if left.node is None and (len(sight.dims) < 2 or node.op in ("linear", "mv", "addmv")):
        return anything(node, seen)
    place = len(sight.dims) - (2 if left.node is None else 1)
    sight = replace(sight.mixed([place], keep=False), uneven=False)
    if len(node.output_shape) < len(sight.dims):
        return Sight(sight.dims[:-1], sight.fields)
    return sight.with_dim(place, plain(node.output_shape[place]))
