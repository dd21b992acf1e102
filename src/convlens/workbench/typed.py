"""The verbs check what they are given against their own signatures, before anything is begun."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from torch import Tensor, nn

from convlens.errors import UsageError
from convlens.runs import Run

Verb = TypeVar("Verb", bound=Callable[..., Any])
TYPES: dict[Any, tuple[Any, str]] = {  # annotation -> what is taken for it, and how it is called
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    bool: (bool, "True or False"),
    str: (str, "text"),
    Path: (os.PathLike, "a path"),
    Run: (Run, "a run"),
    nn.Module: (nn.Module, "a network"),
    Tensor: (Tensor, "a tensor"),
    np.ndarray: (np.ndarray, "an array"),
    NoneType: (NoneType, "None"),
    dict: (Mapping, "values by name, as a dict"),
    Mapping: (Mapping, "values by name, as a dict"),
}


def typed(verb: Verb) -> Verb:
    """UsageError where an argument is of another type than its annotation says; what takes anything is not checked.

    A single number of NumPy becomes the Python number that JSON has.
    """

    @functools.wraps(verb)
    def call(*args: Any, **kwargs: Any) -> Any:
        args = tuple(as_python(value) for value in args)
        kwargs = {name: as_python(value) for name, value in kwargs.items()}
        check_types(verb, inspect.signature(verb).bind(*args, **kwargs).arguments)
        return verb(*args, **kwargs)

    return call  # type: ignore[return-value]


def check_types(verb: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """UsageError for the first of these arguments that is of another type than the signature of `verb` says."""
    hints = _hints(verb)
    for name, value in given.items():
        if name in hints and not _fits(value, hints[name]):
            shown = " ".join(repr(value).split())[:80]
            raise UsageError(f"{name} came as {shown}; expected {_words(hints[name])}")


def as_python(value: Any) -> Any:
    """Single numbers of NumPy, in a list too, as those of Python."""
    if isinstance(value, list):
        return [as_python(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


@functools.cache
def _hints(verb: Callable[..., Any]) -> dict[str, Any]:
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    open_ended = {name for name, one in inspect.signature(verb).parameters.items() if one.kind in kinds}
    return {name: kind for name, kind in get_type_hints(verb).items() if name not in open_ended}


def _fits(value: Any, kind: Any) -> bool:
    origin = get_origin(kind) or kind
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(kind))
    if origin is Mapping or origin is dict:
        return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
    if origin in TYPES:
        is_number = origin in (int, float)
        return isinstance(value, TYPES[origin][0]) and not (is_number and isinstance(value, bool))
    if inspect.isclass(origin) and issubclass(origin, Iterable):
        listed = isinstance(value, Collection) and not isinstance(value, str | Mapping | Tensor)
        items = value if isinstance(value, list | tuple) and _each(kind) is not None else ()
        return listed and all(_fits(item, _each(kind)) for item in items)
    return True


def _each(kind: Any) -> Any:
    """Of what the items of a list are; None where nothing says so."""
    return next(iter(get_args(kind)), None)


def _words(kind: Any) -> str:
    """int | None -> "a whole number or None"."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    *others, last = dict.fromkeys(_word(one) for one in kinds)
    return f"{', '.join(others)} or {last}" if others else last


def _word(kind: Any) -> str:
    known = TYPES.get(get_origin(kind) or kind)
    if known is not None:
        return known[1]
    return "a list" if _each(kind) is None else f"a list, each {_words(_each(kind))}"
