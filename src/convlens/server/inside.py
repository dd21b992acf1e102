"""What is known of a served network's inside: its layers by name, and recordings of the last pictures."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch

from convlens.arithmetic import Recording, layer_names, record_values
from convlens.errors import unknown_name
from convlens.graph import Graph
from convlens.measurement import LayerMeasure, NetworkMeasure, measure_network
from convlens.server.kept import KeptPicture
from convlens.server.shelf import ServedRun, Shelf

if TYPE_CHECKING:
    from convlens.server.endpoint import Asked

KEPT_BYTES = 512 << 20  # of all recordings of a server together
PROBABILITIES = "probabilities"


@dataclass(frozen=True)
class Layer:
    """A row of the measurement: `path` is a name that no other has, `node` gave its output (None: it never ran)."""

    path: str
    node: int | None
    row: LayerMeasure


@dataclass(frozen=True, eq=False)
class Inside:
    """One network: its graph, its measurement, its layers in order."""

    graph: Graph
    measure: NetworkMeasure
    layers: tuple[Layer, ...]

    def node_of(self, name: str) -> int:
        """The node of a layer or of any module by its path; UsageError with the nearest for one that is not there."""
        for layer in self.layers:
            if layer.path == name and layer.node is not None:
                return layer.node
        for call in reversed(self.graph.finished):
            if call.path == name and call.node is not None:
                return call.node
        known = [layer.path for layer in self.layers if layer.node is not None]
        raise unknown_name("layer", name, known, "`/v1/network` lists the layers")

    def shape(self, node: int) -> tuple[int, ...]:
        return self.graph.input_shape if node < 0 else self.graph.nodes[node].output_shape


def inside(served: ServedRun) -> Inside:
    """Found out once for each run."""
    with served.lock:
        if "inside" not in served.kept:
            graph = record_values(served.model, torch.zeros(served.run.input_shape)).graph
            measure = measure_network(served.model, graph)
            served.kept["inside"] = Inside(graph, measure, _layers(graph, measure))
        found: Inside = served.kept["inside"]
        return found


def _layers(graph: Graph, measure: NetworkMeasure) -> tuple[Layer, ...]:
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
    return tuple(layers)


class Recordings:
    """Of the last pictures, for all runs of a server together."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Recording] = OrderedDict()

    def of(self, served: ServedRun, picture: KeptPicture) -> Recording:
        """That of this picture, made where it is not kept."""
        key = (served.name, picture.id)
        with served.lock:  # whoever waits for the same one finds it
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            graph = inside(served).graph
            pixels = torch.tensor(picture.pixels(served))[None]
            recording = record_values(served.model, served.run.preprocess.normalise(pixels), graph=graph)
            self._keep(key, recording)
            return recording

    @property
    def num_bytes(self) -> int:
        with self._lock:
            return sum(recording.size_bytes for recording in self._kept.values())

    def _keep(self, key: tuple[str, str], recording: Recording) -> None:
        with self._lock:
            self._kept[key] = recording
            while self._kept and sum(one.size_bytes for one in self._kept.values()) > self._most:
                self._kept.popitem(last=False)


_OF_SHELVES: WeakKeyDictionary[Shelf, Recordings] = WeakKeyDictionary()
_ONE_AT_A_TIME = threading.Lock()


def recordings(shelf: Shelf) -> Recordings:
    with _ONE_AT_A_TIME:
        return _OF_SHELVES.setdefault(shelf, Recordings())


def recording_of(asked: Asked) -> Recording:
    """Of the picture that is asked about."""
    return recordings(asked.shelf).of(asked.served, asked.picture)
