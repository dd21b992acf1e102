"""The options of a method: the arguments after the first of its function, each of the kind of its default."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any

from convlens.errors import UsageError

REQUIRED = inspect.Parameter.empty  # the default of an option that must be given


def options_of(function: Callable[..., Any]) -> dict[str, Any]:
    """-> the options by name with their defaults, REQUIRED where there is none."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    named = (one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD))
    return {one.name: one.default for one in named}


def check_value(name: str, given: Any, usual: Any) -> None:
    """Raises UsageError for another kind than that of a default which is a number, a word, or true or false.

    Where the default is None or anything else, what may be given is for the function to say.
    """
    if isinstance(usual, bool):
        if not isinstance(given, bool):
            raise UsageError(f"{name} came as {given!r}; expected true or false")
    elif isinstance(usual, str):
        if not isinstance(given, str):
            raise UsageError(f"{name} came as {given!r}; expected a word, like {usual}")
    elif isinstance(usual, Real):
        kind = Integral if isinstance(usual, Integral) else Real
        if isinstance(given, bool) or not isinstance(given, kind) or not abs(float(given)) < 2**63:
            whole = "whole " if kind is Integral else ""
            raise UsageError(f"{name} came as {given!r}; expected a {whole}number, like {usual}")


def whole_numbers(name: str, given: int | Iterable[int]) -> tuple[int, ...]:
    """One or several -> all of them; UsageError for none, for what is below 0, and for what is no whole number."""
    alone = not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0  # one may come as a tensor
    numbers: tuple[Any, ...] = (given,) if alone else tuple(given)  # type: ignore[arg-type]
    try:
        whole = tuple(operator.index(one) for one in numbers if not isinstance(one, bool))
    except TypeError:
        whole = ()
    if not whole or len(whole) < len(numbers) or min(whole) < 0:
        raise UsageError(f"{name} came as {given!r}; expected one or more whole numbers, counted from 0")
    return whole
