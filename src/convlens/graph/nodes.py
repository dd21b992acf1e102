"""What a trace records: operations in execution order, and module calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Shape = tuple[int, ...]
NETWORK_INPUT = -1


class Operand(NamedTuple):
    """A tensor that an operation reads.

    `node` made it: -1 is the network's input, None means parameters, buffers or constants alone; `names` are the
    parameters and buffers that it is, or is a view of; `output` says which of the node's tensors it is. `strides` and
    `offset` place the numbers of such a view in the memory of what it is a view of.
    """

    shape: Shape
    node: int | None
    names: tuple[str, ...] = ()
    output: int = 0
    strides: Shape = ()
    offset: int = 0


@dataclass(frozen=True)
class Node:
    """One operation of torch, as it ran.

    `op` is its name ("convolution", "addmm", "relu"); `module` the dotted path of the innermost module at work ("" is
    the network itself); `arguments` holds all, by their names in torch's schema, with tensors as `Operand`.
    `inputs` are the nodes it depends on (-1: the network's input), earlier writes into the same memory included.
    """

    index: int
    op: str
    qualified_name: str
    module: str
    module_type: str
    inputs: tuple[int, ...]
    parameters: tuple[str, ...]
    arguments: Mapping[str, Any]
    output_shape: Shape
    output_bytes: int
    storages: tuple[int, ...]
    is_view: bool
    is_in_place: bool
    is_pointwise: bool
    is_reduction: bool
    is_complex: bool = False  # a tensor that it reads or makes has complex numbers
    may_draw: bool = False  # torch says that it may draw at random

    @property
    def attributes(self) -> dict[str, Any]:
        """The arguments that are not tensors: stride, padding, dilation, groups, transposed …; `kernel_size` too."""
        plain = {name: value for name, value in self.arguments.items() if not isinstance(value, Operand)}
        weight = self.arguments.get("weight")
        if self.op == "convolution" and isinstance(weight, Operand):
            plain["kernel_size"] = weight.shape[2:]
        return plain

    def operands(self) -> tuple[Operand, ...]:
        """Every tensor read, those in lists too, in the order of the arguments."""
        return tuple(operands_in(self.arguments.values()))


def operands_in(values: Any) -> list[Operand]:
    """The operands among nested tuples and lists."""
    found: list[Operand] = []
    for value in values:
        if isinstance(value, Operand):
            found.append(value)
        elif isinstance(value, list | tuple):
            found.extend(operands_in(value))
    return found


@dataclass(frozen=True)
class ModuleCall:
    """One call of one module: nodes `first` to `last` (excluded) ran inside it; `node` made its (first) output.

    `node` is -1 when the module gave the network's input through, None when its output hangs on no input.
    """

    path: str
    kind: str
    is_leaf: bool
    first: int
    last: int
    node: int | None
    output_shape: Shape
    output_bytes: int
