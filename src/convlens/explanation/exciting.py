"""The pictures of a data set that excite a unit most, and what of them it saw (Zeiler and Fergus 2013, figure 2)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convlens.errors import NetworkError, UsageError
from convlens.explanation.memory import passes, traced
from convlens.explanation.options import whole_numbers
from convlens.explanation.preparation import as_input, failures_told, network_with_values, only, prepared, take_output
from convlens.explanation.repeatable import check_repeatable
from convlens.graph import ReceptiveField

Window = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Excited:
    """`index` of the picture, the channel's largest `value` in it, and its `position` (row, column) in the feature map.

    `window` is what that unit sees: ((top, bottom), (left, right)) in pixels of the network's input, the last ones
    included, cut to the picture; None where the network cannot be traced.
    """

    index: int
    value: float
    position: tuple[int, int]
    window: Window | None


def exciting(
    model: nn.Module, batches: Iterable[Tensor], layer: str, channels: int | Iterable[int], *, top: int = 9
) -> dict[int, tuple[Excited, ...]]:
    """Batches of preprocessed pictures (N, C, H, W) -> the `top` ones of each channel of `layer`, strongest first.

    Each picture counts once. Of a layer that runs several times in a pass its last run is looked at. UsageError
    for a channel that the layer does not have.
    """
    wanted = whole_numbers("channels", channels)
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise UsageError(f"top came as {top!r}; expected how many pictures of each channel, 1 or more")
    if not isinstance(batches, Iterable):
        raise UsageError(f"batches came as {type(batches).__name__}; expected an iterable of tensors (N, C, H, W)")
    best: dict[int, list[tuple[float, int, int, int]]] = {channel: [] for channel in wanted}
    seen, fields = 0, dict[torch.Size, ReceptiveField | None]()
    model, sizes = network_with_values(model), dict[int, torch.Size]()
    with prepared(model), torch.no_grad():
        for images in _passes(model, batches, layer):
            with take_output(model, layer, images) as taken, failures_told(model, images, "exciting"):
                model(images)
            maps = only(taken, layer, len(images)).float()
            if max(wanted) >= maps.shape[1]:
                raise UsageError(f"channel {max(wanted)} came; layer '{layer}' has {maps.shape[1]}, counted from 0")
            size = images.shape[2:]
            if size not in fields:
                fields[size] = field_of(model, images, layer)
            sizes |= dict.fromkeys(range(seen, seen + len(images)), size)
            values, places = maps[:, list(wanted)].flatten(2).max(2)  # (N, wanted)
            for column, channel in enumerate(wanted):
                for row in range(len(images)):
                    place = divmod(int(places[row, column]), maps.shape[3])
                    # of equal ones the first stays
                    heapq.heappush(best[channel], (float(values[row, column]), -(seen + row), *place))
                    if len(best[channel]) > top:
                        heapq.heappop(best[channel])
            seen += len(images)
    return {
        channel: tuple(
            Excited(-index, value, (row, column), _cut(fields[sizes[-index]], (row, column), sizes[-index]))
            for value, index, row, column in sorted(found, reverse=True)
        )
        for channel, found in best.items()
    }


def field_of(model: nn.Module, images: Tensor, layer: str) -> ReceptiveField | None:
    """The receptive field of a layer's units, gates left out; None where the network cannot be traced."""
    try:
        graph = traced(model, images)
    except NetworkError:
        return None
    nodes = [call.node for call in graph.finished if call.path == layer and call.node is not None and call.node >= 0]
    field = graph.receptive_field(nodes[-1], gates=False) if nodes else None
    return field if field is not None and len(field.size) == 2 else None


def _cut(field: ReceptiveField | None, position: tuple[int, int], size: torch.Size) -> Window | None:
    if field is None:
        return None
    (top, bottom), (left, right) = field.window(*position)
    return (max(top, 0), min(bottom, size[0] - 1)), (max(left, 0), min(right, size[1] - 1))


def _passes(model: nn.Module, batches: Iterable[Tensor], layer: str) -> Iterator[Tensor]:
    for batch in batches:
        images = as_input(model, batch)
        check_repeatable(model, images, layer)
        yield from passes(model, images)
