"""What a rule is asked: one unit of one node, and how it reads the node's operands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.arithmetic.places import Index, Place, Window, broadcast_index, place_of
from convlens.arithmetic.recording import Recording
from convlens.arithmetic.steps import Step, Term
from convlens.graph import Node, Operand
from convlens.graph.nodes import operands_in


@dataclass(frozen=True)
class Read:
    """One operand of a node: the tensor that it read, and where that stands; `node` None for what no node made."""

    name: str
    tensor: Tensor
    node: int | None
    output: int

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape)

    def number(self, index: Index) -> float:
        return float(self.tensor[index])


@dataclass(frozen=True)
class Asked:
    """One unit: `index` in the tensor `output` of `node`."""

    recording: Recording
    node: Node
    index: Index
    output: int = 0

    def plain(self, name: str, default: Any = None) -> Any:
        """An argument that is no tensor."""
        value = self.node.arguments.get(name, default)
        return default if value is None else value

    def read(self, name: str) -> Read | None:
        """The operand of that name; None where none came."""
        return next((one for one in self.reads() if one.name == name), None)

    def must(self, name: str) -> Read:
        found = self.read(name)
        assert found is not None, f"{self.node.op} has no tensor '{name}'"
        return found

    def reads(self) -> list[Read]:
        """All operands in order; those of a list are called by its name and their place in it."""
        found: list[Read] = []
        for name, value in self.node.arguments.items():
            several = operands_in([value])
            for number, operand in enumerate(several):
                place = len(found)
                alone = isinstance(value, Operand)
                late = (self.node.index, place) in self.recording.written_over
                tensor = self.recording.read(self.node, place)
                title = name if alone else f"{name} {number + 1}"
                found.append(Read(title, tensor, None if late else operand.node, operand.output))
        return found

    @property
    def value(self) -> float:
        """The network's own."""
        return float(self.recording.tensor(self.node.index, self.output)[self.index])

    @property
    def own(self) -> dict[str, Any]:
        """What every step says of itself."""
        return {"node": self.node.index, "layer": self.recording.layers[self.node.index], "value": self.value}

    def place(self, read: Read, index: Index) -> Place | None:
        return None if read.node is None else place_of(self.recording, read.node, index, read.output)

    def window(self, read: Read, index: tuple[Index, ...]) -> Window:
        single = read.shape[:1] == (1,) and len(read.shape) <= 5
        layer = "" if read.node is None else self.recording.layers[read.node]
        return Window(read.node, layer, index, read.output, single)

    def term(self, read: Read) -> Term:
        """An operand of the same shape, or one that is stretched to it."""
        index = broadcast_index(self.index, read.shape)
        return Term(read.name, self.place(read, index), read.number(index))

    def at(self, read: Read | None) -> float | None:
        """The number of an operand that belongs to this unit."""
        return None if read is None else read.number(broadcast_index(self.index, read.shape))


Rule = Callable[[Asked], Step]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enters the decorated function for these operators."""

    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return add


def float64(tensor: Tensor) -> np.ndarray:
    return tensor.to("cpu", torch.float64).numpy()


def gathered(tensor: Tensor, index: tuple[Index, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Along each dimension these indices -> (float64 numbers, bool where one of them is outside: 0 stands there)."""
    outside = np.zeros([len(read) for read in index], bool)
    inside: list[np.ndarray] = []
    for axis, (read, size) in enumerate(zip(index, tensor.shape, strict=True)):
        at = np.asarray(read)
        beyond = (at < 0) | (at >= size)
        outside |= beyond.reshape([-1 if axis == other else 1 for other in range(len(index))])
        inside.append(at.clip(0, size - 1))
    if not outside.size:
        return np.zeros(outside.shape), outside
    part = tensor
    for axis, at in enumerate(inside):
        part = part.index_select(axis, torch.as_tensor(at, device=tensor.device))
    return np.where(outside, 0.0, float64(part)), outside
