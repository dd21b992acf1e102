"""What the units of every node see: the receptive field through branches, sums and concatenations, rule by rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from convlens.graph import pieces, windows  # noqa: F401 (they enter their rules)
from convlens.graph.factors import Factor, Shape, axes_of, plain
from convlens.graph.fields import AxisField, ReceptiveField, summary
from convlens.graph.layout import Sight
from convlens.graph.mixing import matrix_product, reduce
from convlens.graph.nodes import NETWORK_INPUT, Node, Operand
from convlens.graph.rules import RULES, anything, pointwise

Sights = tuple[Sight, ...]  # of the tensors that an operation gives; none where they hang on no picture


def all_sights(nodes: Sequence[Node], input_shapes: Sequence[Shape], *, gates: bool = True) -> tuple[Sights, ...]:
    """What the tensors of each node see. Without `gates` see `_without_gates`."""
    picture = next((shape for shape in input_shapes if len(shape) >= 3), ())
    sights: dict[int, Sights] = {}
    for node in nodes:
        sights[node.index] = _sights_of(node, sights, picture, gates)
    return tuple(sights.values())


def receptive_fields(sights: Sequence[Sights]) -> tuple[ReceptiveField | None, ...]:
    """One for each node; None where it hangs on no picture."""
    return tuple(summary(parts[0].coarse().fields) if parts else None for parts in sights)


def picture_dims(sights: Sequence[Sights]) -> tuple[tuple[int | None, ...], ...]:
    """For each node the dimensions of its tensor that are the picture's rows, columns and so on, (2, 3) as a rule.

    None for those that are mixed with others, or of one position. () where it hangs on no picture.
    """
    return tuple(_dims_of(parts[0]) if parts else () for parts in sights)


def _dims_of(sight: Sight) -> tuple[int | None, ...]:
    carried = [axes_of([dim]) for dim in sight.dims]
    places = [[place for place, axes in enumerate(carried) if axis in axes] for axis in range(len(sight.fields))]
    return tuple(found[0] if len(found) == 1 and len(carried[found[0]]) == 1 else None for found in places)


def _sights_of(node: Node, sights: dict[int, Sights], picture: Shape, gates: bool) -> Sights:
    def of(operand: Operand) -> Sight | None:
        if operand.node is None:
            return None
        if operand.node == NETWORK_INPUT:
            return _of_picture(operand.shape, picture)
        parts = sights[operand.node]
        return parts[min(operand.output, len(parts) - 1)].fitted(operand.shape) if parts else None

    operands = node.operands()
    seen = [sight for operand in operands if (sight := of(operand)) is not None]
    if not gates and node.is_pointwise:
        seen = _without_gates(seen)
    direct = {operand.node for operand in operands}
    # Memory that another operation wrote meanwhile, through a view: its sight joins in.
    late = [part for i in node.inputs if i not in direct and i >= 0 for part in sights[i]]
    if not seen and not late:
        return ()
    parts = _ruled(node, seen, operands) if seen else (late[0].all_mixed(node.output_shape),)
    return tuple(_joined(part, late) for part in parts)


def _without_gates(seen: list[Sight]) -> list[Sight]:
    """Leaves out what is the same at all positions, as the gate of squeeze and excite, beside what is not."""
    return [sight for sight in seen if axes_of(sight.dims)] or seen


def _ruled(node: Node, seen: list[Sight], operands: tuple[Operand, ...]) -> Sights:
    rule = RULES.get(node.op, pointwise if node.is_pointwise else reduce if node.is_reduction else anything)
    data = [operand.node is not None for operand in operands]
    if rule is matrix_product and (sum(data) != 1 or len(seen) != 1):
        rule = anything
    found = rule(node, seen)
    parts = found if isinstance(found, tuple) else (found,)
    fits = parts[0].shape == node.output_shape
    return parts if fits else (parts[0].all_mixed(node.output_shape),)


def _joined(sight: Sight, late: list[Sight]) -> Sight:
    """What was written over is not known, so that it is at most what both see."""
    for other in late:
        shared = axes_of(sight.dims) & axes_of(other.dims)
        same = all(len(sight.fields[a].low) == len(other.fields[a].low) for a in shared)
        if not same or shared != set(range(len(sight.fields))):
            other = other.mixed(range(len(other.dims)), keep=False)
        fields = (a.union(b) for a, b in zip(sight.fields, other.fields, strict=True))
        sight = replace(sight, fields=tuple(replace(field, exact=False) for field in fields))
    return sight


def _of_picture(shape: Shape, picture: Shape) -> Sight | None:
    """(N, C, H, W): everything after the channels is an axis; another input counts if it is as large as the first."""
    if not picture or shape[2:] != picture[2:]:
        return None
    sizes = picture[2:]
    dims = (plain(shape[0]), plain(shape[1]), *((Factor(size, axis),) for axis, size in enumerate(sizes)))
    return Sight(dims, tuple(AxisField.of_picture(size) for size in sizes))
