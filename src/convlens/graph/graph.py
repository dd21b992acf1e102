"""A traced network, and the questions that can be asked of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from convlens.errors import NetworkError
from convlens.graph.fields import ReceptiveField, UnitField
from convlens.graph.nodes import NETWORK_INPUT, ModuleCall, Node, Shape
from convlens.graph.receptive import Sights, all_sights, picture_dims, receptive_fields

WEIGHTED = frozenset({"convolution", "addmm", "mm", "bmm", "baddbmm", "lstm", "gru", "rnn_tanh"})
# fmt: off
POOLING = frozenset({
    "max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d",
    "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d", "fractional_max_pool2d", "mean", "amax",
    "max_pool2d", "adaptive_avg_pool2d",
})
# fmt: on


class SpatialLayer(NamedTuple):
    path: str
    output_shape: Shape


@dataclass(frozen=True)
class Graph:
    """A traced network. `modules` are its module calls by the order in which they began; `finished` by their end."""

    nodes: tuple[Node, ...]
    modules: tuple[ModuleCall, ...]
    finished: tuple[ModuleCall, ...]
    input_shapes: tuple[Shape, ...]
    input_bytes: int
    output_nodes: tuple[int, ...]
    used_real_tensors: bool
    read_nodes: tuple[int, ...] = ()  # that hang on the input, and whose values Python saw

    @property
    def input_shape(self) -> Shape:
        return self.input_shapes[0]

    def spatial_layers(self) -> tuple[SpatialLayer, ...]:
        """The modules whose output is (N, C, H, W), each once, in the order in which they (last) finished."""
        layers: dict[str, Shape] = {}
        for call in self.finished:
            layers.pop(call.path, None)
            if len(call.output_shape) == 4:
                layers[call.path] = call.output_shape
        return tuple(SpatialLayer(path, shape) for path, shape in layers.items())

    def last_spatial_layer(self) -> str:
        """The path of the module whose output suits a class activation map.

        That is the last feature map of more than one position which is not merely a pooled copy of a finer one. Of
        the modules that give this same map, the innermost that is called once. NetworkError when there is none.
        """
        num_calls: dict[str, int] = {}
        for call in self.finished:
            num_calls[call.path] = num_calls.get(call.path, 0) + 1
        maps = [call for call in self.finished if self._is_own_feature_map(call)]
        if not maps:
            raise NetworkError(
                f"no layer of this network gives a feature map (N, C, H, W) larger than 1 x 1 for an input of "
                f"{self.input_shape}; use a method that needs no layer, such as saliency, or larger pictures"
            )
        newest = max(call.node for call in maps if call.node is not None)
        same = [call for call in maps if call.node == newest]
        return next((call.path for call in same if num_calls[call.path] == 1), same[-1].path)

    def _is_own_feature_map(self, call: ModuleCall) -> bool:
        if len(call.output_shape) != 4 or call.node is None or call.node < 0 or self.nodes[call.node].op in POOLING:
            return False
        rows, columns = self.map_dims(call.node)
        return call.output_shape[rows] * call.output_shape[columns] > 1

    def map_dims(self, node: int) -> tuple[int, int]:
        """Where rows and columns lie in the four dimensions of what this node gives: (2, 3), or (1, 2) where channels
        come last. (2, 3) where neither is certain.
        """
        found = [(dim, last) for dim, last in zip(self._picture_dims[node], (1, 2), strict=False) if dim is not None]
        return (1, 2) if found and all(dim == last for dim, last in found) else (2, 3)

    @cached_property
    def _picture_dims(self) -> tuple[tuple[int | None, ...], ...]:
        return picture_dims(self._sights)

    @cached_property
    def hangs_on_values(self) -> bool:
        """May its path hang on numbers that Python saw, as in `if images.mean() > 0`, by `item`, `tolist` or `numpy`,
        or by the size of what a mask chose? Not where it only looks whether numbers are finite.
        """
        waiting, seen = list(self.read_nodes), set[int]()
        while waiting:
            node = waiting.pop()
            if node == NETWORK_INPUT:
                return True
            if node not in seen and not _asks_if_finite(self.nodes[node]):
                seen.add(node)
                waiting.extend(self.nodes[node].inputs)
        return False

    @cached_property
    def depth(self) -> int:
        """Layers with weights, convolutions and matrix products, on the longest way from the input to the output."""
        deepest: list[int] = []
        for node in self.nodes:
            before = max((deepest[source] for source in node.inputs if source >= 0), default=0)
            deepest.append(before + (node.op in WEIGHTED and bool(node.parameters)))
        return max((deepest[node] for node in self.output_nodes if node >= 0), default=0)

    def receptive_field(self, node: int | Node, *, gates: bool = True) -> ReceptiveField | None:
        """What of the picture a unit of this node sees; None when the node hangs on no picture.

        Without `gates`, what it sees through convolutions and poolings: what is computed of the whole picture and then
        joined to every position alike, such as the gate of squeeze and excite, is left out.
        """
        fields = self._receptive_fields if gates else self._receptive_fields_without_gates
        return fields[node.index if isinstance(node, Node) else node]

    def unit_field(self, node: int, index: Shape, *, gates: bool = True) -> UnitField | None:
        """What one unit sees, at its whole index in what the node gives; None when the node hangs on no picture."""
        parts = (self._sights if gates else self._sights_without_gates)[node]
        return parts[0].of_unit(index) if parts else None

    @cached_property
    def _receptive_fields(self) -> tuple[ReceptiveField | None, ...]:
        return receptive_fields(self._sights)

    @cached_property
    def _receptive_fields_without_gates(self) -> tuple[ReceptiveField | None, ...]:
        return receptive_fields(self._sights_without_gates)

    @cached_property
    def _sights(self) -> tuple[Sights, ...]:
        return all_sights(self.nodes, self.input_shapes)

    @cached_property
    def _sights_without_gates(self) -> tuple[Sights, ...]:
        return all_sights(self.nodes, self.input_shapes, gates=False)


def _asks_if_finite(node: Node) -> bool:
    """isnan, isinf, and isfinite as torch writes it: x == x and abs(x) != inf."""
    if node.op in ("isnan", "isinf", "isposinf", "isneginf"):
        return True
    operands, other = node.operands(), node.arguments.get("other")
    with_itself = len(operands) == 2 and operands[0] == operands[1]
    return node.op in ("eq", "ne") and (with_itself or (isinstance(other, float) and math.isinf(other)))
