"""What is known of a served network's inside: its graph, its measurement, its layers by name."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from convlens.arithmetic import Recording, layer_names, record_values
from convlens.errors import UsageError, unknown_name
from convlens.graph import Graph, ModuleCall
from convlens.measurement import LayerMeasure, NetworkMeasure, measure_network

if TYPE_CHECKING:
    from convlens.server.endpoint import Asked
    from convlens.server.shelf import ServedRun

PROBABILITIES = "probabilities"


@dataclass(frozen=True)
class Layer:
    """A row of the measurement: `path` is a name that no other has, `node` gave its output (None: it never ran).

    Of a module that ran several times `row` is of them all at its last run, and of the output alone at the others.
    """

    path: str
    node: int | None
    row: LayerMeasure


@dataclass(frozen=True, eq=False)
class Inside:
    """One network: its graph, its measurement, its layers in order."""

    graph: Graph
    measure: NetworkMeasure
    layers: tuple[Layer, ...]

    @cached_property
    def names(self) -> dict[str, int]:
        """The nodes by the names that a unit calls them, and by the paths of layers and of all other modules."""
        modules = {call.path: node for call in self.graph.finished if (node := given_by(call)) is not None}
        nodes = {name: node for node, name in layer_names(self.graph).items()}
        return modules | nodes | {layer.path: layer.node for layer in self.layers if layer.node is not None}

    def node_of(self, name: str) -> int:
        """The node of that name; UsageError with the nearest for one that is not there."""
        if name in self.names:
            return self.names[name]
        known = [layer.path for layer in self.layers if layer.node is not None]
        raise unknown_name("layer", name, known, "`/v1/network` lists the layers")

    def checked_node(self, node: int) -> int:
        """UsageError for a number that no node has."""
        if not -1 <= node < len(self.graph.nodes):
            last = len(self.graph.nodes) - 1
            raise UsageError(f"node {node} came; this network has the nodes -1 (the picture) to {last}")
        return node

    def shape(self, node: int) -> tuple[int, ...]:
        return self.graph.input_shape if node < 0 else self.graph.nodes[node].output_shape


def given_by(call: ModuleCall) -> int | None:
    """The node that a module's call gave; of one that hands on what it got beside its own, its own."""
    own = call.node is not None and call.first <= call.node < call.last
    return call.node if own or call.first == call.last else call.last - 1


def inside(served: ServedRun) -> Inside:
    """Found out once for each run."""

    def find() -> Inside:
        graph = record_values(served.model, torch.zeros(served.run.input_shape)).graph
        measure = measure_network(served.model, graph)
        return Inside(graph, measure, _layers(graph, measure))

    found: Inside = served.once("inside", find)
    return found


def _layers(graph: Graph, measure: NetworkMeasure) -> tuple[Layer, ...]:
    """The rows of the measurement in the order in which they ran, a module that ran several times once for each run."""
    rows = _last_runs(graph, measure)
    layers = [row for row in rows if row.row.calls <= 1]
    for last in (row for row in rows if row.row.calls > 1):
        for run in (*_earlier_runs(graph, last), last):
            layers.insert(_place(layers, run), run)
    return tuple(layers)


def _place(layers: list[Layer], run: Layer) -> int:
    """Before the first that ran after it."""
    if run.node is None:
        return len(layers)
    later = (place for place, layer in enumerate(layers) if layer.node is not None and layer.node > run.node)
    return next(later, len(layers))


def _earlier_runs(graph: Graph, last: Layer) -> list[Layer]:
    """What the module costs stands at its last run."""
    names = layer_names(graph)
    nodes = [call.node for call in graph.finished if call.is_leaf and call.path == last.row.path]
    return [
        Layer(names[node], node, replace(last.row, **_of_output(graph, node), parameters=0, macs=0, flops=0))
        for node in nodes
        if node is not None and node != last.node and names[node].startswith(f"{last.row.path}:")
    ]


def _of_output(graph: Graph, node: int) -> dict[str, Any]:
    shape, field = graph.nodes[node].output_shape, graph.receptive_field(node)
    if field is None:
        return {"output_shape": shape, "receptive_field": None, "stride": None, "whole_picture": False}
    whole = all(field.whole)
    facts = {"receptive_field": field.size, "stride": field.stride, "whole_picture": whole, "exact": field.exact}
    return {"output_shape": shape, **facts}


def _last_runs(graph: Graph, measure: NetworkMeasure) -> list[Layer]:
    """The rows of the measurement: of a leaf module its last run's output, of an operation its own."""
    outputs = {call.path: call.node for call in graph.finished if call.is_leaf}
    names = layer_names(graph)
    loose: dict[tuple[str, str], list[int]] = {}
    for node in graph.nodes:
        if node.module not in outputs and not node.is_view:
            loose.setdefault((node.module, node.op), []).append(node.index)
    layers = []
    for row in measure.layers:
        if row.path in outputs or not row.calls:
            layers.append(Layer(row.path, outputs.get(row.path), row))
            continue
        waiting = loose[row.path, row.kind]
        while graph.nodes[waiting[0]].output_shape != row.output_shape:  # work on parameters that costs nothing
            waiting.pop(0)
        index = waiting.pop(0)
        layers.append(Layer(names[index], index, row))
    return layers


@contextmanager
def copied(served: ServedRun) -> Iterator[nn.Module]:
    """A copy of the network, one at a time, for work of seconds: meanwhile the network answers what else is asked."""
    with served.lock:
        if "copy" not in served.kept:
            served.kept["copy"] = copy.deepcopy(served.model)
            served.kept["the copy's turn"] = threading.Lock()
        turn: threading.Lock = served.kept["the copy's turn"]
    with turn:
        yield served.kept["copy"]


def recording_of(asked: Asked) -> Recording:
    """Of the picture that is asked about."""
    return asked.shelf.recordings.of(asked.served, asked.picture)
