"""How many pictures may go through a network at once without more memory than a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from convlens.errors import NetworkError
from convlens.graph import Graph, trace

BOUND = 1 << 30  # bytes of activations of one pass that keeps them for a gradient
NEAR = 96 << 20  # of one that does not: more no longer lies near the processor, and is slower (docs/speed-notes.md)
T = TypeVar("T")
SETTING = bool | int | float | str
UNTRACED = 8  # pictures at once, where nothing is known of the network

_KNOWN: WeakKeyDictionary[nn.Module, dict[object, Any]] = WeakKeyDictionary()


def remembered(model: nn.Module, images: Tensor, what: str, find: Callable[[], T]) -> T:
    """`find()`, asked once for a network and such pictures while its modules stay the same.

    Modules are the same by name, type, what they say of themselves, such as kernel and stride, and attributes that
    are numbers or words: what else could steer them.
    """
    parts = tuple((name, type(part), part.extra_repr(), _settings(part)) for name, part in model.named_modules())
    key = (what, tuple(images.shape[1:]), images.dtype, parts)
    known = _KNOWN.setdefault(model, {})
    if key not in known:
        known[key] = find()
    return cast(T, known[key])


def _settings(part: nn.Module) -> tuple[tuple[str, object], ...]:
    return tuple(
        (name, value) for name, value in vars(part).items() if isinstance(value, SETTING) and name != "training"
    )


def traced(model: nn.Module, images: Tensor) -> Graph:
    """The graph of a network for one such picture, remembered while its modules stay the same. Raises NetworkError."""

    def find() -> Graph | str:
        try:
            return trace(model, images[:1])
        except NetworkError as error:
            return str(error)  # an error itself would keep all pictures alive

    found = remembered(model, images, "graph", find)
    if isinstance(found, str):
        raise NetworkError(found)
    return found


def same_network(copy: nn.Module, model: nn.Module) -> None:
    """What is known of a network holds for its copy."""
    _KNOWN[copy] = _KNOWN.setdefault(model, {})


def pictures_at_once(model: nn.Module, images: Tensor, *, gradient: bool) -> int:
    """1 or more. A gradient keeps every activation; without one, little more than the largest two are alive."""
    try:
        graph = traced(model, images)
    except NetworkError:
        return UNTRACED
    sizes = sorted((node.output_bytes for node in graph.nodes if not node.is_view), reverse=True)
    needed = sum(sizes) if gradient else 3 * sum(sizes[:2])
    return max(1, (BOUND if gradient else NEAR) // max(needed + graph.input_bytes, 1))
