"""Where a number stands in a recording, and which numbers a step reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convlens.arithmetic.recording import Recording
from convlens.errors import UsageError

AXES = ("channel", "row", "column", "depth")  # what an index of (1, C, H, W) is called, the first left out
LISTS = ("channels", "rows", "columns", "depths")
Index = tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """One number: a node of the graph (-1 is the picture), its index there, the batch included, and the layer's name.

    `output` says which of the node's tensors it is in. `named` are the channel, row and column where the first
    dimension is one picture.
    """

    node: int
    index: Index
    layer: str
    output: int = 0
    named: tuple[tuple[str, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        own = {"node": self.node, "layer": self.layer, **dict(self.named), "index": list(self.index)}
        return own | ({"output": self.output} if self.output else {})


@dataclass(frozen=True)
class Window:
    """Numbers of one tensor: along each dimension the indices that are read; those outside it are padding."""

    node: int | None
    layer: str
    index: tuple[Index, ...]
    output: int = 0
    single: bool = True  # the first dimension is one picture

    def to_dict(self) -> dict[str, Any]:
        own: dict[str, Any] = {"node": self.node, "layer": self.layer}
        if self.single:
            own |= {name: list(read) for name, read in zip(LISTS, self.index[1:], strict=False)}
        own |= {"output": self.output} if self.output else {}
        return own | {"index": [list(read) for read in self.index]}


def place_of(recording: Recording, node: int, index: Sequence[int], output: int = 0) -> Place:
    """The place with its names."""
    shape, found = recording.tensor(node, output).shape, tuple(int(i) for i in index)
    named = tuple(zip(AXES, found[1:], strict=False)) if shape[:1] == (1,) and len(shape) <= 5 else ()
    return Place(node, found, recording.layers[node], output, named)


def checked_index(recording: Recording, node: int, position: Sequence[int]) -> Index:
    """(channel, row, column), or the whole index -> the whole index; UsageError outside the node's numbers."""
    shape = tuple(recording.tensor(node).shape)
    given = tuple(position)
    if len(given) == len(shape) - 1 and shape[:1] == (1,):
        given = (0, *given)
    sizes = shape[1:] if shape[:1] == (1,) else shape
    if not all(isinstance(at, int) and not isinstance(at, bool) for at in given) or len(given) != len(shape):
        raise UsageError(f"the position is {tuple(position)}; expected {len(sizes)} whole numbers within {sizes}")
    if not all(0 <= at < size for at, size in zip(given, shape, strict=True)):
        raise UsageError(
            f"the position {tuple(position)} is outside '{recording.layers[node]}'; "
            f"its shape is {sizes}, counted from 0"
        )
    return given


def broadcast_index(index: Index, shape: Sequence[int]) -> Index:
    """Where an operand of this shape is read for the output's index."""
    own = index[len(index) - len(shape) :] if shape else ()
    return tuple(0 if size == 1 else at for at, size in zip(own, shape, strict=True))


def unravelled(flat: int, shape: Sequence[int]) -> Index:
    """The index of the number that stands at this place in order."""
    found: list[int] = []
    for size in reversed(shape):
        found.insert(0, flat % size)
        flat //= size
    return tuple(found)
