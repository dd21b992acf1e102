"""Depthwise-separable convolutions: what they cost beside the convolution that they stand for.

MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications (Howard et al. 2017),
https://arxiv.org/abs/1704.04861, equations 3 to 5: K·K·M·D·D + M·N·D·D in place of K·K·M·N·D·D, a share of 1/N + 1/K².
"""

from __future__ import annotations

from dataclasses import dataclass

from convlens.graph import Graph, Node, Operand
from convlens.measurement.operations import STORED_STATISTICS, cost


@dataclass(frozen=True)
class SeparableConvolution:
    """A depthwise convolution and the pointwise one that reads it; `standard_macs` are those of one in their place.

    `kernel` is (height, width); `share` is macs / standard_macs: 1/N + 1/K² for N channels out. With a `multiplier` m
    each channel has m kernels, which the pointwise convolution reads all: m/N + m/K².
    """

    depthwise: str
    pointwise: str
    kernel: tuple[int, ...]
    channels_in: int
    channels_out: int
    macs: int
    standard_macs: int
    share: float
    multiplier: int = 1

    @property
    def channels(self) -> tuple[int, ...]:
        """In and out; between them those of the depthwise convolution, where it has several kernels a channel."""
        between = () if self.multiplier == 1 else (self.channels_in * self.multiplier,)
        return (self.channels_in, *between, self.channels_out)


def separable_convolutions(graph: Graph) -> tuple[SeparableConvolution, ...]:
    """Pairs in execution order; norms, activations and channel gates may stand between the two."""
    found = []
    for node in graph.nodes:
        before = _depthwise_before(graph, node) if _is_pointwise(node) else None
        if before is not None:
            found.append(_pair(before, node))
    return tuple(found)


def _weight(node: Node) -> tuple[int, ...]:
    weight = node.arguments["weight"]
    assert isinstance(weight, Operand)
    return weight.shape


def _is_pointwise(node: Node) -> bool:
    """A 1 x 1 convolution of all channels, that leaves out no pixel."""
    if node.op != "convolution" or node.arguments["groups"] != 1 or node.arguments["transposed"]:
        return False
    source = node.arguments["input"]
    return set(_weight(node)[2:]) == {1} and source.shape[2:] == node.output_shape[2:]


def _is_depthwise(node: Node) -> bool:
    """Each channel by itself, with one kernel or more, larger than a pixel."""
    if node.op != "convolution" or node.arguments["transposed"]:
        return False
    _, read, *kernel = _weight(node)
    return node.arguments["groups"] > 1 and read == 1 and max(kernel) > 1


def _depthwise_before(graph: Graph, node: Node) -> Node | None:
    """Back from a convolution's input, through norms, activations and gates, to a depthwise convolution."""
    source = node.arguments["input"]
    while source is not None and source.node is not None and source.node >= 0:
        before = graph.nodes[source.node]
        if _is_depthwise(before):
            return before
        if not (before.is_pointwise or before.op in STORED_STATISTICS):
            return None
        read = [one for one in before.operands() if one.node is not None]
        whole = {one.node: one for one in read if one.shape == before.output_shape}
        if len(whole) != 1:  # a sum of two ways
            return None
        (source,) = whole.values()
    return None


def _pair(depthwise: Node, pointwise: Node) -> SeparableConvolution:
    channels_out, channels_in = _weight(pointwise)[0], depthwise.arguments["groups"]
    multiplier = _weight(depthwise)[0] // channels_in
    one, two = (counted.macs.value for node in (depthwise, pointwise) if (counted := cost(node)) is not None)
    macs, standard = one + two, one // multiplier * channels_out  # K·K·M·D·D, N times
    names = (depthwise.module, pointwise.module)
    kernel = _weight(depthwise)[2:]
    return SeparableConvolution(*names, kernel, channels_in, channels_out, macs, standard, macs / standard, multiplier)
