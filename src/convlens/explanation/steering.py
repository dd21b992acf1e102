"""What could steer a network beside its weights, as plain values that can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any
from weakref import ref

import numpy as np
import torch
from torch import Tensor, nn

Attribute = tuple[str, str]  # path of the module, name
OF_EVERY_MODULE = frozenset(vars(nn.Module()))  # its parts, weights, hooks and mode
PLAIN = (bool, int, float, str, bytes, type(None), torch.dtype, torch.device)
HOOKS = ("_forward_pre_hooks", "_forward_hooks")
SMALL = 8  # numbers of a tensor: switches and factors, not weights or statistics
MANY = 32  # entries of a list or an object that are looked at
DEEP = 3  # lists in lists


def steering(model: nn.Module) -> dict[Attribute, object]:
    """Of every module the numbers, words, functions, small tensors, buffers and hooks that it holds, in lists too.

    Not seen is what a function finds elsewhere, such as a global variable, nor the values of larger tensors.
    """
    return {
        (path, name): _frozen(value, DEEP) for path, part in model.named_modules() for name, value in _attributes(part)
    }


def _attributes(part: nn.Module) -> Iterator[tuple[str, Any]]:
    """Torch's own layers tell what else they hold themselves, and their buffers are statistics."""
    for name in HOOKS:
        if hooks := vars(part).get(name):
            yield name, list(hooks.values())
    known = type(part).__module__.startswith("torch.nn.modules.")
    for name, value in vars(part).items():
        if name not in OF_EVERY_MODULE and (not known or isinstance(value, PLAIN)):
            yield name, value
    if not known:
        yield from part._buffers.items()


def _frozen(value: Any, deep: int) -> object:
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, FunctionType | BuiltinFunctionType | type):
        return ref(value)  # keeps nothing alive; a later function at the same address is another
    if isinstance(value, MethodType):
        return ref(value.__func__)
    if isinstance(value, Tensor):
        return _numbers(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist() if value.size <= SMALL else value.shape
    if deep == 0:
        return type(value).__qualname__
    if isinstance(value, partial):
        value = (value.func, value.args, value.keywords)
    if isinstance(value, Mapping):
        return [len(value), _pairs(value.items(), deep)]
    if isinstance(value, list | tuple):
        return [len(value), *(_frozen(one, deep - 1) for one in value[:MANY])]
    if isinstance(value, set | frozenset):
        return [len(value), *sorted(str(one) for one in value if isinstance(one, PLAIN))]
    own = getattr(value, "__dict__", {}).items()
    return [type(value).__qualname__, _pairs((pair for pair in own if pair[0] not in OF_EVERY_MODULE), deep)]


def _pairs(pairs: Iterable[tuple[Any, Any]], deep: int) -> list[tuple[object, object]]:
    return [(_frozen(name, 0), _frozen(value, deep - 1)) for name, value in islice(pairs, MANY)]


def _numbers(tensor: Tensor) -> object:
    plain = tensor.layout == torch.strided and not (tensor.is_meta or tensor.is_quantized)
    if not plain or tensor.numel() > SMALL:
        return (tuple(tensor.shape), tensor.dtype)
    return tensor.tolist()
