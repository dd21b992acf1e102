"""Which tensors of a pass hang on no picture: weights, buffers, and what the network makes of those and of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# these read a shape, and no values
SHAPED = frozenset({
    "aten::ones_like", "aten::zeros_like", "aten::full_like", "aten::empty_like", "aten::new_ones", "aten::new_zeros",
    "aten::new_full", "aten::new_empty", "aten::new_empty_strided",
})  # fmt: skip


class Constants(TorchDispatchMode):
    """`tensor in constants`, for those of a pass under this mode; views are told by the memory that they share.

    A tensor that no operation made, such as an attribute of the network, is a constant, unless numbers of the pictures
    were handed over to Python before: then it may be made of them.
    """

    def __init__(self, images: Tensor, network: nn.Module) -> None:
        super().__init__()
        self._made_of_pictures = {_memory(images)}
        self._constant: dict[int, Tensor] = {}  # kept alive, so that no other takes their place in memory
        self._handed_over = False
        for tensor in (*network.parameters(), *network.buffers()):
            self._keep(tensor, constant=True)

    def __contains__(self, tensor: Tensor) -> bool:
        return tensor.layout == torch.strided and _memory(tensor) in self._constant

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """As the recorder of `graph`: False keeps torch from importing its whole compiler."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = func._schema.name, kwargs or {}
        read = [self._is_constant(tensor) for tensor in _tensors((args, kwargs))]
        constant = name in SHAPED or all(read)
        outputs = func(*args, **kwargs)
        if torch.Tag.data_dependent_output in func.tags and not constant:
            self._handed_over = True
        written = [value for place, value in zip(func._schema.arguments, args, strict=False) if _is_written(place)]
        for tensor in _tensors((outputs, written)):
            self._keep(tensor, constant=constant)
        return outputs

    def handed_over(self, tensor: Tensor, _way: str) -> None:
        self._handed_over = self._handed_over or not self._is_constant(tensor)

    def _is_constant(self, tensor: Tensor) -> bool:
        if tensor.layout != torch.strided:
            return False
        memory = _memory(tensor)
        if memory not in self._constant and memory not in self._made_of_pictures:
            self._keep(tensor, constant=not self._handed_over)
        return memory in self._constant

    def _keep(self, tensor: Tensor, *, constant: bool) -> None:
        if tensor.layout != torch.strided:
            return
        memory = _memory(tensor)
        if constant:
            self._constant[memory] = tensor
            self._made_of_pictures.discard(memory)
        else:
            self._constant.pop(memory, None)
            self._made_of_pictures.add(memory)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _is_written(argument: Any) -> bool:
    return argument.alias_info is not None and argument.alias_info.is_write


def _tensors(values: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))
