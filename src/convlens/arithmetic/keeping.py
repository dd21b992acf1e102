"""What is seen of a pass: every node's tensors as they were made, whatever is written over them later.

Nothing is copied until something writes: before an operation works in place, what was kept of that memory is copied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from convlens.graph.recording import Recorder


class Kept:
    """One tensor, which is replaced by a copy of its own before its memory is written over."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def take_copy(self) -> None:
        self.tensor = self.tensor.clone()


class Keeper(Recorder):
    """A trace of real tensors that keeps them.

    `made[n]` are the tensors of node n, and `functions[n]` the operator (None for what was handed over to Python).
    `constants[n, k]` is operand k of node n where no node made it: a parameter, a buffer or a number of the network's
    own. `written_over[n, k]` is the operand as it was read where something had written into it after its maker.
    """

    def __init__(self, picture: Tensor, named: Mapping[str, Tensor]) -> None:
        super().__init__([picture], dict(named), on_meta=False)
        self.made: list[tuple[Kept, ...]] = []
        self.functions: list[Any] = []
        self.constants: dict[tuple[int, int], Kept] = {}
        self.written_over: dict[tuple[int, int], Tensor] = {}
        self._by_memory: dict[int, list[Kept]] = defaultdict(list)
        self.picture = self._keep(picture)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        read = _in_order(func, args, kwargs)
        places = [self._changed_since(tensor) for tensor in read]
        late = {place: read[place].clone() for place, changed in enumerate(places) if changed}
        own = [place for place, tensor in enumerate(read) if self._maker(tensor)[0] is None]
        for tensor in _written(func, args, kwargs):
            self._copy_before_write(tensor)
        count = len(self.nodes)
        outputs = super().__torch_dispatch__(func, types, args, kwargs)
        if len(self.nodes) > count:
            self.functions.append(func)
            self.made.append(tuple(self._keep(leaf) for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)))
            self.constants |= {(count, place): self._keep(read[place]) for place in own}
            self.written_over |= {(count, place): tensor for place, tensor in late.items()}
        return outputs

    def handed_over(self, tensor: Tensor, way: str) -> None:
        """Python may write into the memory behind torch's back."""
        self._copy_before_write(tensor)
        count = len(self.nodes)
        super().handed_over(tensor, way)
        if len(self.nodes) > count:
            self.functions.append(None)
            self.made.append((Kept(tensor.detach().clone()),))

    def _keep(self, tensor: Tensor) -> Kept:
        kept = Kept(tensor.detach())
        self._by_memory[tensor.untyped_storage()._cdata].append(kept)
        return kept

    def _copy_before_write(self, tensor: Tensor) -> None:
        for kept in self._by_memory.pop(tensor.untyped_storage()._cdata, ()):
            kept.take_copy()

    def _changed_since(self, tensor: Tensor) -> bool:
        write, maker = self._last_write.get(self._storage(tensor)), self._maker(tensor)[0]
        return write is not None and maker is not None and write > maker


def _in_order(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The tensors that are read, in the order of `Node.operands`."""
    given = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
    named = [given.get(argument.name) for argument in func._schema.arguments]
    return [leaf for leaf in tree_leaves(named) if isinstance(leaf, Tensor)]


def _written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    given = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
    chosen = [a.name for a in func._schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    return [leaf for name in chosen for leaf in tree_leaves(given.get(name)) if isinstance(leaf, Tensor)]


def with_own_buffers(model: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of the buffers, which a network may change in evaluation mode too."""
    return {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
