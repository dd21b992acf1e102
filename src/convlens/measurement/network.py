"""A network -> its table: per layer the shape, parameters, MACs, FLOPs, memory and receptive field, and the totals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import Tensor, nn

from convlens.graph import Graph, ModuleCall, Node, trace
from convlens.measurement.memory import activation_bytes, peak_activation_bytes
from convlens.measurement.operations import cost

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerMeasure:
    """One leaf module, or one operation that a larger module calls itself (then `kind` is its name in lower case).

    `macs` and `flops` are None where they are unknown. `calls` is 0 for parameters that the forward never used, else
    how often the layer ran; its MACs are those of all calls, its parameters stand in one row only.
    `receptive_field` and `stride` (pixels, per axis) are those of its output, from the input on; None without pictures.
    """

    path: str
    kind: str
    output_shape: Shape
    parameters: int
    macs: int | None
    flops: int | None
    activation_bytes: int
    receptive_field: Shape | None
    stride: tuple[float, ...] | None
    whole_picture: bool = False
    calls: int = 1


@dataclass(frozen=True)
class NetworkMeasure:
    """The layers in execution order, and their totals for the given input (divide by the batch for one picture).

    `complete` is False when an operation is unknown: then `macs` and `flops` are sums of the known ones, so "at least".
    `weight_bytes` counts parameters and buffers. `activation_bytes` is what all results take together,
    `peak_activation_bytes` what must be held at once, the input included, when each is freed after its last use.
    `receptive_field` is that of the last feature map larger than one position.
    """

    input_shape: Shape
    layers: tuple[LayerMeasure, ...]
    parameters: int
    trainable_parameters: int
    macs: int
    flops: int
    activation_bytes: int
    peak_activation_bytes: int
    weight_bytes: int
    receptive_field: Shape | None
    stride: tuple[float, ...] | None
    unknown_operators: tuple[str, ...]
    complete: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and dicts, ready for JSON."""
        return _listed(asdict(self))


def measure_network(model: nn.Module, input_shape: Any) -> NetworkMeasure:
    """A network and the whole shape of its input, (1, 3, 224, 224), or a tuple of example tensors -> NetworkMeasure.

    Nothing is computed and no weight is allocated; the formulas stand in `measurement/operations.py`. NetworkError when
    the network cannot take this input.
    """
    graph = trace(model, input_shape)
    layers = _with_parameters(_rows(graph), model)
    unknown = tuple(dict.fromkeys(node.qualified_name for node in graph.nodes if cost(node) is None))
    parameters = list(model.parameters())
    weights = [*parameters, *model.buffers()]
    field = _of_last_map(graph)
    return NetworkMeasure(
        input_shape=graph.input_shape,
        layers=layers,
        parameters=sum(p.numel() for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        macs=sum(_known(node)[0] for node in graph.nodes),
        flops=sum(_known(node)[1] for node in graph.nodes),
        activation_bytes=activation_bytes(graph.nodes),
        peak_activation_bytes=peak_activation_bytes(graph),
        weight_bytes=sum(t.numel() * t.element_size() for t in weights),
        receptive_field=None if field is None else field[0],
        stride=None if field is None else field[1],
        unknown_operators=unknown,
        complete=not unknown,
    )


def _known(node: Node) -> tuple[int, int]:
    return cost(node) or (0, 0)


def _of_last_map(graph: Graph) -> tuple[Shape, tuple[float, ...]] | None:
    for node in reversed(graph.nodes):
        field = graph.receptive_field(node)
        if field is not None and len(node.output_shape) >= 3 and max(node.output_shape[2:]) > 1 and node.inputs:
            return field.size, field.stride
    return None


@dataclass(frozen=True)
class _Row:
    layer: LayerMeasure
    names: frozenset[str]


def _rows(graph: Graph) -> list[_Row]:
    """A row for each leaf module, where it first ran, and for each operation of the modules above, views left out."""
    calls: dict[str, list[ModuleCall]] = {}
    for call in graph.modules:
        if call.is_leaf:
            calls.setdefault(call.path, []).append(call)
    placed = [((group[0].first, 0, n), _leaf_row(graph, group)) for n, group in enumerate(calls.values())]
    loose = [node for node in graph.nodes if node.module not in calls and node.inputs and not node.is_view]
    placed += [((node.index, 1, 0), _operation_row(graph, node)) for node in loose]
    return [row for _, row in sorted(placed, key=lambda pair: pair[0])]


def _leaf_row(graph: Graph, group: list[ModuleCall]) -> _Row:
    nodes = [node for call in group for node in graph.nodes[call.first : call.last]]
    last = group[-1]
    return _row(graph, nodes, last.path, last.kind, last.output_shape, last.node, len(group))


def _operation_row(graph: Graph, node: Node) -> _Row:
    return _row(graph, [node], node.module, node.op, node.output_shape, node.index, 1)


def _row(
    graph: Graph, nodes: list[Node], path: str, kind: str, shape: Shape, output: int | None, num_calls: int
) -> _Row:
    costs = [cost(node) for node in nodes]
    known = [pair for pair in costs if pair is not None]
    field = graph.receptive_field(output) if output is not None and output >= 0 else None
    layer = LayerMeasure(
        path=path,
        kind=kind,
        output_shape=shape,
        parameters=0,
        macs=sum(macs for macs, _ in known) if len(known) == len(costs) else None,
        flops=sum(flops for _, flops in known) if len(known) == len(costs) else None,
        activation_bytes=activation_bytes(nodes),
        receptive_field=None if field is None else field.size,
        stride=None if field is None else field.stride,
        whole_picture=field is not None and all(field.whole),
        calls=num_calls,
    )
    return _Row(layer, frozenset(name for node in nodes for name in node.parameters))


def _with_parameters(rows: list[_Row], model: nn.Module) -> tuple[LayerMeasure, ...]:
    """Each parameter counts in the first row that uses it, else in its owner's, else in a row of its own (calls 0)."""
    layers = [row.layer for row in rows]
    first_user: dict[str, int] = {}
    first_at: dict[str, int] = {}
    for place, row in enumerate(rows):
        first_at.setdefault(row.layer.path, place)
        for name in row.names:
            first_user.setdefault(name, place)
    unused: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        owner = name.rpartition(".")[0]
        found = first_user.get(name, first_at.get(owner))
        if found is None:
            unused[owner] = unused.get(owner, 0) + parameter.numel()
        else:
            layers[found] = replace(layers[found], parameters=layers[found].parameters + parameter.numel())
    modules = dict(model.named_modules())
    return (*layers, *(_unused_row(path, modules[path], count) for path, count in unused.items()))


def _unused_row(path: str, module: nn.Module, parameters: int) -> LayerMeasure:
    return LayerMeasure(path, type(module).__name__, (), parameters, 0, 0, 0, None, None, calls=0)


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(part) for key, part in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | Tensor):
        return [_listed(part) for part in value]
    return value
