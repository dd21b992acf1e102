"""A traced network -> its boxes and what each reads: layers with their norms and activations, sums, concatenations."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from convlens.graph import Graph, Node
from convlens.measurement.operations import OWN_STATISTICS, STORED_STATISTICS

NETWORK_INPUT = -1
JOINS = {"add": "+", "sub": "−", "mul": "×", "cat": "concatenate", "stack": "stack", "maximum": "largest of each"}
# fmt: off
WORDS = {
    "BatchNorm": "batch norm", "BiasNorm": "batch norm", "LayerNorm": "layer norm", "GroupNorm": "group norm",
    "InstanceNorm": "instance norm", "LocalResponseNorm": "local response norm", "Hardswish": "hard swish",
    "Hardsigmoid": "hard sigmoid", "relu": "ReLU", "hardtanh": "ReLU6", "hardswish": "hard swish", "silu": "SiLU",
    "gelu": "GELU", "sigmoid": "sigmoid", "tanh": "tanh", "_softmax": "softmax",
    "native_batch_norm": "batch norm", "_native_batch_norm_legit_no_training": "batch norm",
}
# fmt: on
ADAPTIVE_POOLS = frozenset(
    {f"{how}adaptive_{kind}_pool{rank}d" for how in ("", "_") for kind in ("avg", "max") for rank in (2, 3)}
)
WINDOWS = frozenset({"max_pool2d", "max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d"})
NORMS = STORED_STATISTICS | OWN_STATISTICS


@dataclass
class Box:
    """`title` is the layer, `more` what follows it at once; `sources` are boxes before it.

    `parts` are the (path, kind) of its modules and operations.

    `kind` is one of input, convolution, depthwise, linear, pooling, join, other.
    """

    title: str
    kind: str
    shape: tuple[int, ...]
    sources: list[int]
    more: list[str] = field(default_factory=list)
    parts: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Unit:
    """The nodes of one call of a leaf module, or one node that a larger module runs itself."""

    name: str
    path: str
    nodes: list[Node]
    shape: tuple[int, ...]


def boxes_of(graph: Graph) -> list[Box]:
    """In execution order, the network's input first."""
    units = _units(graph)
    unit_of = {node.index: place for place, unit in enumerate(units) for node in unit.nodes}
    reached: dict[int, set[int]] = {NETWORK_INPUT: {NETWORK_INPUT}}
    reads: list[set[int]] = [set() for _ in units]
    for node in graph.nodes:
        before = set().union(*(reached[source] for source in node.inputs))
        place = unit_of.get(node.index)
        if place is None:
            reached[node.index] = before  # a view
            continue
        reads[place] |= before - {place}
        reached[node.index] = {place} if reads[place] else set()  # what hangs on no input is a constant
    kept = [place for place, sources in enumerate(reads) if sources]
    readers = Counter(source for place in kept for source in reads[place])
    boxes = [Box("input", "input", graph.input_shape, [])]
    box_of = {NETWORK_INPUT: 0}
    for place in kept:
        unit, sources = units[place], sorted({box_of[source] for source in reads[place] if source in box_of})
        only = next(iter(reads[place])) if len(reads[place]) == 1 else None
        if only is not None and only != NETWORK_INPUT and readers[only] == 1 and _follows(unit):
            box_of[place] = box_of[only]
            boxes[box_of[only]].more.append(_words(unit.name))
        else:
            title, kind = described(unit.nodes, unit.name)
            box_of[place] = len(boxes)
            boxes.append(Box(title, kind, unit.shape, sources))
        box = boxes[box_of[place]]
        box.shape = unit.shape
        if (unit.path, unit.name) not in box.parts:
            box.parts.append((unit.path, unit.name))
    return boxes


def _units(graph: Graph) -> list[_Unit]:
    inside: set[int] = set()
    units: list[_Unit] = []
    for call in graph.modules:
        if not call.is_leaf:
            continue
        nodes = list(graph.nodes[call.first : call.last])
        inside.update(node.index for node in nodes)
        if any(not node.is_view for node in nodes):
            units.append(_Unit(call.kind, call.path, nodes, call.output_shape))
    loose = [node for node in graph.nodes if node.index not in inside and not node.is_view]
    units += [_Unit(node.op, node.module, [node], node.output_shape) for node in loose]
    return sorted(units, key=lambda unit: unit.nodes[0].index)


def _follows(unit: _Unit) -> bool:
    """Does it work element by element, or channel by channel: a norm, an activation, a scale?"""
    return all(node.is_pointwise or node.is_view or node.op in NORMS for node in unit.nodes)


def _words(name: str) -> str:
    return WORDS.get(name) or WORDS.get(re.sub(r"\d+d?$", "", name), name)


def described(nodes: list[Node], name: str) -> tuple[str, str]:
    """-> (what is written in the box, its kind)."""
    for node in nodes:
        if node.op == "convolution":
            return _convolution(node)
        if node.op in WINDOWS | ADAPTIVE_POOLS:
            return _pooling(node), "pooling"
        if node.op == "mean" and _is_global(node):
            return "global average pool", "pooling"
    if len(nodes) == 1 and nodes[0].op in JOINS:
        return JOINS[nodes[0].op], "join"
    if any(node.op in ("addmm", "mm", "linear", "bmm") for node in nodes):
        return ("linear" if name in ("Linear", "addmm", "mm", "linear") else name), "linear"
    return _words(name), "other"


def _convolution(node: Node) -> tuple[str, str]:
    given, weight = node.arguments, node.arguments["weight"].shape
    groups, kernel = given["groups"], _times(weight[2:])
    if given["transposed"]:
        return f"transposed conv {kernel}{_every(given['stride'])}", "convolution"
    depthwise = groups > 1 and weight[1] == 1
    words = f"{'depthwise conv' if depthwise else 'conv'} {kernel}{_every(given['stride'])}"
    words += "" if depthwise or groups == 1 else f", {groups} groups"
    words += f", dilation {max(given['dilation'])}" if max(given["dilation"]) > 1 else ""
    return words, "depthwise" if depthwise else "convolution"


def _pooling(node: Node) -> str:
    how = "max pool" if "max" in node.op else "average pool"
    if "adaptive" in node.op:
        sides = node.output_shape[2:]
        return f"global {how}" if set(sides) == {1} else f"{how} to {_times(sides)}"
    kernel = _both(node.arguments["kernel_size"])
    return f"{how} {_times(kernel)}{_every(node.arguments['stride'] or kernel)}"


def _is_global(node: Node) -> bool:
    """A mean over rows and columns, and nothing else."""
    rank, over = len(node.operands()[0].shape), node.arguments.get("dim") or ()
    return rank == 4 and {axis % rank for axis in over} == {2, 3}


def _both(value: Any) -> tuple[int, ...]:
    values = tuple(value)
    return values * 2 if len(values) == 1 else values


def _times(sides: tuple[int, ...]) -> str:
    return "×".join(str(side) for side in sides)


def _every(stride: Any) -> str:
    """The stride as papers write it: /2"""
    steps = set(stride)
    return "" if steps == {1} else f" /{'×'.join(map(str, sorted(steps)))}"
