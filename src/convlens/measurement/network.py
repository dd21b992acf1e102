"""A network -> its table: per layer the shape, parameters, MACs, FLOPs, memory and receptive field, and the totals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from convlens.graph import Graph, ModuleCall, Node, ReceptiveField, trace
from convlens.measurement.formulas import Formula, legend, total
from convlens.measurement.memory import activation_bytes, peak_activation_bytes
from convlens.measurement.operations import Cost, cost
from convlens.measurement.separable import SeparableConvolution, separable_convolutions

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerMeasure:
    """One leaf module, or one operation that a larger module calls itself (then `kind` is its name in lower case).

    `macs` and `flops` are None where they are unknown. `calls` is 0 for parameters that the forward never used, else
    how often the layer ran; its MACs are those of all calls, its parameters stand in one row only.
    `receptive_field` and `stride` (pixels, per axis) are those of its output, from the input on, and `centre` is that
    of its first unit's field, the first pixel's own being 0.0; None without pictures. They are `exact`, or the field is
    at most so large, after an operation without a rule of its own.
    `macs_formula` (K·K·M·N·D·D) has its numbers in `macs_numbers`; the letters stand in `NetworkMeasure.symbols`.
    """

    path: str
    kind: str
    output_shape: Shape
    parameters: int = 0
    macs: int | None = None
    flops: int | None = None
    activation_bytes: int = 0
    receptive_field: Shape | None = None
    stride: tuple[float, ...] | None = None
    whole_picture: bool = False
    calls: int = 1
    centre: tuple[float, ...] | None = None
    exact: bool = True
    macs_formula: str | None = None
    macs_numbers: str | None = None
    flops_formula: str | None = None


@dataclass(frozen=True)
class NetworkMeasure:
    """The layers in execution order, and their totals for the given input (divide by the batch for one picture).

    `complete` is False when an operation is unknown: then `macs` and `flops` are sums of the known ones, so "at least".
    `weight_bytes` counts parameters and buffers. `activation_bytes` is what all results take together,
    `peak_activation_bytes` what must be held at once, the input included, when each is freed after its last use.
    `receptive_field` is that of the last feature map larger than one position; where it is not `exact_field`, at most.
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
    exact_field: bool = True
    symbols: dict[str, str] = field(default_factory=dict)
    separable: tuple[SeparableConvolution, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and dicts, ready for JSON."""
        return _listed(asdict(self))


def measure_network(model: nn.Module, input_shape: Any) -> NetworkMeasure:
    """A network and the whole shape of its input, (1, 3, 224, 224), or a tuple of example tensors -> NetworkMeasure.

    A trace that is there already may come in place of the shape. Nothing is computed and no weight is allocated; the
    formulas stand in `measurement/operations.py`. NetworkError when the network cannot take this input.
    """
    graph = input_shape if isinstance(input_shape, Graph) else trace(model, input_shape)
    costs = [cost(node) for node in graph.nodes]
    layers = _with_parameters(_rows(graph, costs), model)
    known = [one for one in costs if one is not None]
    unknown = tuple(
        dict.fromkeys(node.qualified_name for node, one in zip(graph.nodes, costs, strict=True) if one is None)
    )
    parameters = list(model.parameters())
    weights = [*parameters, *model.buffers()]
    seen = _of_last_map(graph)
    return NetworkMeasure(
        input_shape=graph.input_shape,
        layers=layers,
        parameters=sum(p.numel() for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        macs=sum(one.macs.value for one in known),
        flops=sum(one.flops.value for one in known),
        activation_bytes=activation_bytes(graph.nodes),
        peak_activation_bytes=peak_activation_bytes(graph),
        weight_bytes=sum(t.numel() * t.element_size() for t in weights),
        receptive_field=None if seen is None else seen.size,
        stride=None if seen is None else seen.stride,
        exact_field=seen is None or seen.exact,
        unknown_operators=unknown,
        complete=not unknown,
        symbols=legend(formula for one in known for formula in one),
        separable=separable_convolutions(graph),
    )


def _of_last_map(graph: Graph) -> ReceptiveField | None:
    for node in reversed(graph.nodes):
        field = graph.receptive_field(node)
        if field is not None and len(node.output_shape) >= 3 and max(node.output_shape[2:]) > 1 and node.inputs:
            return field
    return None


@dataclass(frozen=True)
class _Row:
    layer: LayerMeasure
    names: frozenset[str]


def _rows(graph: Graph, costs: list[Cost | None]) -> list[_Row]:
    """A row for each leaf module, where it first ran, and for each operation of the modules above, views left out."""
    calls: dict[str, list[ModuleCall]] = {}
    for call in graph.modules:
        if call.is_leaf:
            calls.setdefault(call.path, []).append(call)
    placed = [((group[0].first, 0, n), _leaf_row(graph, costs, group)) for n, group in enumerate(calls.values())]
    loose = [
        node
        for node, cost in zip(graph.nodes, costs, strict=True)
        if node.module not in calls and not node.is_view and (node.inputs or _counts(cost))
    ]
    placed += [((node.index, 1, 0), _operation_row(graph, costs, node)) for node in loose]
    return [row for _, row in sorted(placed, key=lambda pair: pair[0])]


def _counts(cost: Cost | None) -> bool:
    """Work on parameters alone, such as a product of two of them, has a row where it has a cost."""
    return cost is None or cost.macs.value > 0 or cost.flops.value > 0


def _leaf_row(graph: Graph, costs: list[Cost | None], group: list[ModuleCall]) -> _Row:
    nodes = [node for call in group for node in graph.nodes[call.first : call.last]]
    last = group[-1]
    layer = LayerMeasure(last.path, last.kind, last.output_shape, calls=len(group), **_counted(nodes, costs))
    return _row(graph, layer, nodes, last.node)


def _operation_row(graph: Graph, costs: list[Cost | None], node: Node) -> _Row:
    layer = LayerMeasure(node.module, node.op, node.output_shape, **_counted([node], costs))
    return _row(graph, layer, [node], node.index)


def _counted(nodes: list[Node], costs: list[Cost | None]) -> dict[str, Any]:
    """MACs, FLOPs, their formulas and memory; None for what is not known of an operation among them."""
    known = [one for node in nodes if (one := costs[node.index]) is not None]
    memory: dict[str, Any] = {"activation_bytes": activation_bytes(nodes)}
    if len(known) < len(nodes):
        return memory
    macs, flops = (total(formulas) for formulas in zip(*known, strict=True)) if known else (Formula(), Formula())
    counts = {"macs": macs.value, "flops": flops.value}
    return counts | memory | {"macs_formula": str(macs), "macs_numbers": macs.numbers, "flops_formula": str(flops)}


def _row(graph: Graph, layer: LayerMeasure, nodes: list[Node], output: int | None) -> _Row:
    names = frozenset(name for node in nodes for name in node.parameters)
    field = graph.receptive_field(output) if output is not None and output >= 0 else None
    if field is None:
        return _Row(layer, names)
    sight = {"receptive_field": field.size, "stride": field.stride, "centre": field.start}
    seen: dict[str, Any] = {**sight, "whole_picture": all(field.whole), "exact": field.exact}
    return _Row(replace(layer, **seen), names)


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
    nothing: dict[str, Any] = {"macs_formula": "0", "macs_numbers": "0", "flops_formula": "0"}
    return LayerMeasure(path, type(module).__name__, (), parameters, macs=0, flops=0, calls=0, **nothing)


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(part) for key, part in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | Tensor):
        return [_listed(part) for part in value]
    return value
