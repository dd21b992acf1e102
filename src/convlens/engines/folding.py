"""Batch normalisation folded into the convolution before it: one affine map in place of two (evaluation mode)."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from convlens.graph import Graph, Node, Operand, bare_network, trace
from convlens.layers import BiasNorm2d, SameConv2d
from convlens.layers.channels_last import noise, same_answer
from convlens.layers.computed_weights import check_copyable

NORMALISATIONS = ("native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training", "batch_norm")
STATISTICS = ("running_mean", "running_var")
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.modules.batchnorm._BatchNorm, nn.SyncBatchNorm, BiasNorm2d)
KNOWN = {kind.forward for kind in (*CONVOLUTIONS, SameConv2d, *NORMS)} | {kind._conv_forward for kind in CONVOLUTIONS}


class Pair(NamedTuple):
    """The paths of a convolution and of the batch normalisation that alone reads it."""

    convolution: str
    normalisation: str


def folded(network: nn.Module, input_shape: Sequence[int]) -> nn.Module:
    """A copy in evaluation mode and the shape of one picture (C, H, W) -> the same function with fewer operations.

    Computed in float64 and rounded once. A normalisation stays where the convolution is functional or transposed, is
    called twice, shares its weights or is read by others, where either has hooks or a forward of its own, and where no
    convolution is before it, as with pre-activation. None is folded in a network that then answers otherwise, as one
    that asks what its modules are or hold, or whose path hangs on values.
    """
    check_copyable(network := bare_network(network))
    original = copy.deepcopy(network).eval().cpu().requires_grad_(False)
    copied = copy.deepcopy(original)
    for pair in foldable(copied, input_shape):
        convolution = copied.get_submodule(pair.convolution)
        normalisation = copied.get_submodule(pair.normalisation)
        assert isinstance(convolution, CONVOLUTIONS) and isinstance(normalisation, nn.modules.batchnorm._BatchNorm)
        merged = fuse_conv_bn_eval(convolution.double(), normalisation.double())
        _replace(copied, convolution, merged.float().requires_grad_(False))
        _replace(copied, normalisation, nn.Identity())
    return copied if _agree(original, copied, input_shape) else original


@torch.no_grad()
def _agree(original: nn.Module, changed: nn.Module, input_shape: Sequence[int]) -> bool:
    images = noise(torch.zeros(1, *input_shape))
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            expected = original(images)
            torch.default_generator.manual_seed(0)
            found = changed(images)
    except Exception:
        return False
    return same_answer(expected, found)


def foldable(network: nn.Module, input_shape: Sequence[int]) -> list[Pair]:
    """The pairs of a network in evaluation mode that can be folded; none where its path hangs on values."""
    graph = trace(network, (1, *input_shape))
    if graph.hangs_on_values:
        return []
    calls = Counter(call.path for call in graph.modules)
    return [pair for pair in _pairs(graph) if _is_plain(network, pair) and calls[pair[0]] == calls[pair[1]] == 1]


def _pairs(graph: Graph) -> Iterator[Pair]:
    readers = Counter(source for node in graph.nodes for source in node.inputs)
    readers.update(graph.output_nodes)
    users = Counter(name for node in graph.nodes for name in node.parameters)
    for node in graph.nodes:
        read = node.arguments.get("input", node.arguments.get("self"))
        if node.op not in NORMALISATIONS or not isinstance(read, Operand) or read.node is None or read.node < 0:
            continue
        before = graph.nodes[read.node]
        if before.op != "convolution" or before.arguments["transposed"] or readers[before.index] != 1:
            continue
        owned = _owns(before, "weight", "bias") and _owns(node, "weight", "bias", *STATISTICS)
        constant = isinstance(node.arguments.get("running_var"), Operand) and not node.arguments.get("training")
        if owned and constant and all(users[name] == 1 for name in (*before.parameters, *node.parameters)):
            yield Pair(before.module, node.module)


def _owns(node: Node, *names: str) -> bool:
    """Are these operands the parameters of the node's own module, as they are, or none?"""
    for name in names:
        operand = node.arguments.get(name)
        if isinstance(operand, Operand) and (operand.node is not None or operand.names != (f"{node.module}.{name}",)):
            return False
    return True


def _is_plain(network: nn.Module, pair: Pair) -> bool:
    """A convolution and a normalisation that compute what their classes say, in float32, watched by nobody."""
    convolution, normalisation = (network.get_submodule(path) for path in pair)
    kinds = isinstance(convolution, CONVOLUTIONS) and isinstance(normalisation, nn.modules.batchnorm._BatchNorm)
    alone = all(_has_known_forward(module) and not _is_watched(module) for module in (convolution, normalisation))
    tensors = [*convolution.parameters(), *normalisation.parameters()]
    return kinds and alone and all(tensor.dtype == torch.float32 for tensor in tensors)


def _has_known_forward(module: nn.Module) -> bool:
    """Not that of a subclass which does more, as timm's BatchNormAct2d, or whose forward leaves a bias unread."""
    inner = getattr(type(module), "_conv_forward", None)  # of a convolution, called by its forward
    called = type(module).__call__ is nn.Module.__call__
    known = type(module).forward in KNOWN and (inner is None or inner in KNOWN)
    return called and known and not {"forward", "_conv_forward"} & vars(module).keys()


def _is_watched(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Under every name that it has."""
    for module in list(network.modules()):
        for name, child in list(module._modules.items()):
            if child is old:
                module._modules[name] = new
