"""Build a network without memory for its weights and without drawing them: its shapes are all that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

DRAWS = (
    "normal_",
    "uniform_",
    "trunc_normal_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "xavier_uniform_",
    "orthogonal_",
)


class _Undrawn(TorchFunctionMode):
    """A draw on a meta tensor changes nothing, yet torch would load its compiler for it, which takes two seconds."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in DRAWS:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def unallocated() -> Iterator[None]:
    """All tensors that are made in this context are meta tensors."""
    with torch.device("meta"), _Undrawn():
        yield
