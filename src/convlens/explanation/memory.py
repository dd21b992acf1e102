"""How many pictures may go through a network at once without more memory than a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from convlens.errors import NetworkError
from convlens.explanation.steering import Attribute, steering
from convlens.graph import Graph, trace

BOUND = 1 << 30  # bytes of activations of one pass that keeps them for a gradient
NEAR = 96 << 20  # of one that does not: more no longer lies near the processor, and is slower (docs/speed-notes.md)
T = TypeVar("T")
UNTRACED = 8  # pictures at once, where nothing is known of the network
GPU_SHARE = 8  # of a GPU's memory one part in so many, where that is more than BOUND

_KNOWN: WeakKeyDictionary[nn.Module, dict[object, Any]] = WeakKeyDictionary()


def remembered(model: nn.Module, images: Tensor, what: str, find: Callable[[], T]) -> T:
    """`find()`, asked once for a network and such pictures while its modules stay the same: 2 ms for ResNet-50.

    Modules are the same by name, type, what they say of themselves, such as kernel and stride, and their attributes
    and small buffers (`steering`): what else could steer them. What a pass itself changes, such as a counter, is left
    out.
    """
    known = _KNOWN.setdefault(model, {})
    counters: set[Attribute] = known.setdefault("counters", set())
    place = (what, tuple(images.shape[1:]), images.dtype)
    modules = tuple((path, type(part), part.extra_repr()) for path, part in model.named_modules())
    before = steering(model)
    if place not in known or known[place][0] != modules or _differing(known[place][1], before) - counters:
        value = find()
        counters |= _differing(before, steering(model))
        known[place] = (modules, before, value)
    return cast(T, known[place][2])


def _differing(one: dict[Attribute, object], two: dict[Attribute, object]) -> set[Attribute]:
    if one == two:
        return set()
    return {name for name in one.keys() | two.keys() if (name in one, one.get(name)) != (name in two, two.get(name))}


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


def goes_alone(model: nn.Module, images: Tensor) -> bool:
    """Does its path hang on values of its pictures, as `if images.mean() > 0`? Of others that share the pass, too."""
    try:
        return traced(model, images).hangs_on_values
    except NetworkError:
        return False


def passes(model: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    """All of these pictures at once, or one by one where they must not share a pass."""
    return images.split(1 if goes_alone(model, images) else len(images))


def same_network(copy: nn.Module, model: nn.Module) -> None:
    """What is known of a network holds for its copy."""
    _KNOWN[copy] = _KNOWN.setdefault(model, {})


def bound_on(device: torch.device, *, gradient: bool) -> int:
    """Bytes of activations that one pass may have: a GPU has no cache to stay near, and idles on few pictures."""
    if device.type == "cpu":
        return BOUND if gradient else NEAR
    if device.type == "cuda" and gradient:
        return max(BOUND, torch.cuda.get_device_properties(device).total_memory // GPU_SHARE)
    return BOUND


def pictures_at_once(model: nn.Module, images: Tensor, *, gradient: bool) -> int:
    """1 or more. A gradient keeps every activation; without one, little more than the largest two are alive."""
    if goes_alone(model, images):
        return 1
    try:
        graph = traced(model, images)
    except NetworkError:
        return UNTRACED
    sizes = sorted((node.output_bytes for node in graph.nodes if not node.is_view), reverse=True)
    needed = sum(sizes) if gradient else 3 * sum(sizes[:2])
    return max(1, bound_on(images.device, gradient=gradient) // max(needed + graph.input_bytes, 1))
