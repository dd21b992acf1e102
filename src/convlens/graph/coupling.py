"""The coupling of channels: which indices of which parameters can only be removed together.

Labels are handed through the traced network, one operation after the other (`labels`, `label_rules`); those that meet
are one unit. Sums tie the channels of their operands, a concatenation lines them up, a depthwise convolution or a gate
hands them on. The network's answers and the channels of its input stay, and so does all that an operation without a
rule reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import nn

from convlens.graph import label_layers
from convlens.graph import label_moves as label_moves  # its rules
from convlens.graph.graph import Graph
from convlens.graph.label_rules import RULES, pointwise, unknown
from convlens.graph.labels import FIXED, Cut, Key, LabelBook, Labels, fixed
from convlens.graph.nodes import Node, Operand
from convlens.graph.tracing import bare_network, trace

Units = np.ndarray
ANSWER = "it is the network's answer"
RECURRENT = (nn.RNNBase, nn.RNNCellBase)  # which hold their sizes as numbers


class Kept(NamedTuple):
    """Units that cannot be removed, by the operation that is the reason."""

    op: str
    module: str
    reason: str
    num_units: int


@dataclass(frozen=True)
class Layer:
    """Units that the same parameters make; they can be removed one by one. `linked`: see `Coupling.linked`."""

    names: tuple[str, ...]
    units: Units
    linked: int | None


@dataclass(frozen=True)
class Coupling:
    """`units[name, dim]` says for each index of a dimension of a parameter which unit it belongs to; unit 0 stays.

    `parts` tells the groups of a grouped convolution apart, whose second dimension counts the channels of all groups.
    Layers of one `linked` number are taken apart in order (chunks, shuffles, groups), so that all of them lose the same
    share. `fragile` are operations whose sizes a forward may hold as plain numbers. `num_nodes` is the trace's length.
    """

    units: Mapping[Key, Units]
    producers: frozenset[Key]
    parts: Mapping[Key, np.ndarray]
    layers: tuple[Layer, ...]
    kept: tuple[Kept, ...]
    cuts: tuple[Cut, ...]
    fragile: tuple[int, ...]
    num_units: int
    num_nodes: int
    stays: frozenset[int]  # nodes that keep what they read because somebody asked for it

    @cached_property
    def removable(self) -> np.ndarray:
        """(num_units,), whether each may go."""
        found = np.zeros(self.num_units, dtype=bool)
        for layer in self.layers:
            found[layer.units] = True
        return found

    def steps(self, linked: int) -> int:
        """Into how many equal steps the size of these layers can be divided."""
        return gcd(*self._sizes(linked).values())

    def narrowest(self, linked: int) -> int:
        """The fewest units of these layers that one parameter makes."""
        return min(size for key, size in self._sizes(linked).items() if key in self.producers and size)

    def _sizes(self, linked: int) -> dict[Key, int]:
        mine = np.zeros(self.num_units, dtype=bool)
        for layer in self.layers:
            if layer.linked == linked:
                mine[layer.units] = True
        return {key: int(mine[units].sum()) for key, units in self.units.items()}


def couple(model: nn.Module, inputs: Any, *, stays: frozenset[int] = frozenset()) -> Coupling:
    """A network and the whole shape of its input, (1, 3, 224, 224), example inputs or its trace -> Coupling.

    What the nodes of `stays` read is not removed. NetworkError where the network cannot take such an input.
    """
    model = bare_network(model)
    graph = inputs if isinstance(inputs, Graph) else trace(model, inputs)
    book = _labelled(model, graph, stays)
    unit_of = _units(book)
    units = {key: unit_of[labels] for key, labels in book.given.items()}
    cuts = tuple(cut._replace(labels=unit_of[cut.labels]) for cut in book.cuts)
    layers = _layers(units, frozenset(book.producers), cuts, int(unit_of.max()) + 1)
    kept = tuple(dict.fromkeys(Kept(s.op, s.module, s.reason, len(s.labels)) for s in book.stays))
    return Coupling(
        units,
        frozenset(book.producers),
        book.parts,
        layers,
        kept,
        cuts,
        tuple(sorted(book.fragile)),
        int(unit_of.max()) + 1,
        len(graph.nodes),
        stays,
    )


def _labelled(model: nn.Module, graph: Graph, stays: frozenset[int]) -> LabelBook:
    book = LabelBook(model)
    made: dict[tuple[int, int], Labels] = {}
    harmless: set[int] = set()
    for node in graph.nodes:
        operands = node.operands()
        seen = [_kept_result(made, operand) for operand in operands]
        written = set(node.inputs) - {o.node for o in operands} - harmless
        for labels in (made[key] for key in list(made) if key[0] in written):
            book.stay(node, labels, "it reads memory that was written through another view")
        if _computes_parameters(node):
            book.blocked.update(node.parameters)
        if written or node.index in stays:
            found: Labels | list[Labels] = unknown(node, seen, book, "its sizes are numbers in the forward")
        elif isinstance(book.modules.get(node.module), RECURRENT):
            found = unknown(node, seen, book, "it is part of a recurrent layer")
        elif node.op in RULES:
            found = RULES[node.op](node, seen, book)
        elif node.is_pointwise:
            found = pointwise(node, seen, book)
            if node.is_in_place:
                harmless.add(node.index)
        else:
            found = unknown(node, seen, book)
        _keep_results(made, node, found)
    for index in (number for number in graph.output_nodes if number >= 0):
        for labels in {id(made[key]): made[key] for key in made if key[0] == index}.values():
            book.stay(graph.nodes[index], labels, ANSWER)
    return book


def _computes_parameters(node: Node) -> bool:
    """Something of parameters alone, such as the mean of a scale: its numbers hang on all that they have."""
    alone = all(operand.node is None for operand in node.operands())
    return alone and not node.is_view and node.op not in label_layers.READING


def _keep_results(made: dict[tuple[int, int], Labels], node: Node, found: Labels | list[Labels]) -> None:
    for output, labels in enumerate(found if isinstance(found, list) else [found]):
        made[node.index, output] = labels


def _kept_result(made: dict[tuple[int, int], Labels], operand: Operand) -> Labels:
    """All results of an operation have the first one's labels where its rule gives no list."""
    if operand.node is None or operand.node < 0:
        return fixed(len(operand.shape))
    return made.get((operand.node, operand.output), made[operand.node, 0])


def _units(book: LabelBook) -> Units:
    """Label -> unit; 0 is unit 0."""
    for name in book.blocked:
        for key, labels in book.given.items():
            if key[0] == name:
                book.ties.append(np.stack([labels, np.full_like(labels, FIXED)]))
    ties = np.concatenate([np.zeros((2, 0), dtype=np.int64), *book.ties], axis=1)
    matrix = coo_matrix((np.ones(ties.shape[1], dtype=bool), (ties[0], ties[1])), shape=(book.count, book.count))
    _, found = connected_components(matrix, directed=False)
    order = np.unique(found, return_index=True)[1].argsort().argsort()  # numbered by their first label
    return order[found]


def _layers(
    units: Mapping[Key, Units], producers: frozenset[Key], cuts: tuple[Cut, ...], num_units: int
) -> tuple[Layer, ...]:
    """Units by what makes them; not those that are all that a dimension has."""
    makers: list[tuple[str, ...]] = [()] * num_units
    stuck = np.zeros(num_units, dtype=bool)
    stuck[0] = True
    for found in units.values():
        alone = np.unique(found)
        stuck[alone[0]] |= len(alone) == 1
    for key in units:
        if key in producers:
            for unit in np.unique(units[key]):
                makers[unit] = (*makers[unit], key[0])
    members: dict[tuple[str, ...], list[int]] = {}
    for unit, names in enumerate(makers):
        if names and not stuck[unit]:
            members.setdefault(names, []).append(unit)
    linked = _linked(list(members.values()), cuts, num_units)
    return tuple(Layer(names, np.array(found), at) for (names, found), at in zip(members.items(), linked, strict=True))


def _linked(layers: list[list[int]], cuts: tuple[Cut, ...], num_units: int) -> list[int | None]:
    """For each layer, the first of those that it is taken apart with; None where it never is."""
    layer_of = np.full(num_units, -1)
    for number, layer in enumerate(layers):
        layer_of[layer] = number
    first: list[int | None] = [None] * len(layers)
    for cut in cuts:
        met = [int(n) for n in np.unique(layer_of[cut.labels]) if n >= 0]
        old = {first[n] for n in met} - {None}
        for number in range(len(layers)):
            if number in met or (first[number] is not None and first[number] in old):
                first[number] = min([*met, *(o for o in old if o is not None)])
    return first
