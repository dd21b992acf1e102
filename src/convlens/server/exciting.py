"""`POST /v1/exciting`: the pictures of the run that excite a channel most, and what of them the unit saw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens import explanation
from convlens.errors import PictureError
from convlens.pictures import decode
from convlens.pictures.geometry import Geometry
from convlens.server.endpoint import Asked, Doc
from convlens.server.inside import copied, inside
from convlens.server.recent import Recent, recent
from convlens.server.refused import Refused
from convlens.server.samples import thumbnails_of
from convlens.server.shelf import ServedRun

MOST_PICTURES = 256
BATCH = 16
KEPT_LAYERS = 16
EXCITING_DOC = Doc(
    "Of the run's thumbnails those that excite a channel most; `window` is what of the network's input the unit saw, "
    "(top, bottom, left, right), `part` what of the thumbnail that is, (top, left, height, width) as shares of it.",
    takes={
        "layer": {"type": "string", "description": "the path of a module that gives feature maps"},
        "channel": {"type": "integer", "minimum": 0, "maximum": 1_000_000},
        "count": {"type": "integer", "minimum": 1, "maximum": 32, "default": 9},
    },
    answer={
        "layer": {"type": "string"},
        "channel": {"type": "integer"},
        "looked_at": {"type": "integer"},
        "pictures": {"type": "array", "items": {"type": "object"}},
    },
    required=("layer", "channel"),
)
Found = dict[int, tuple[explanation.Excited, ...]]
Shapes = dict[Path, tuple[int, int]]  # (height, width) of each thumbnail that was read


def exciting(asked: Asked) -> dict[str, Any]:
    served, layer, channel = asked.served, asked.values["layer"], int(asked.values["channel"])
    shapes, found = _looked_for(served, layer)
    if channel not in found:
        raise Refused(400, f"channel {channel} came; '{layer}' has {len(found)} channels, counted from 0")
    files, best = list(shapes), found[channel][: int(asked.values["count"])]
    return {
        "layer": layer,
        "channel": channel,
        "looked_at": len(files),
        "pictures": [_picture(served, files[one.index], shapes[files[one.index]], one) for one in best],
    }


def _picture(served: ServedRun, file: Path, shape: tuple[int, int], one: explanation.Excited) -> dict[str, Any]:
    geometry = served.run.preprocess.geometry(*shape)
    return {
        "name": file.name,
        "url": served.thumbnail_address(file.name),
        "value": one.value,
        "row": one.position[0],
        "column": one.position[1],
        "window": None if one.window is None else [*one.window[0], *one.window[1]],
        "part": None if one.window is None else part_of_picture(one.window, geometry),
    }


def part_of_picture(window: tuple[tuple[int, int], tuple[int, int]], geometry: Geometry) -> list[float] | None:
    """First and last rows and columns of the input -> (top, left, height, width), shares of the picture.

    None where the window lies on the ground beside the picture.
    """
    starts, sizes = [], []
    for axis, (first, last) in enumerate(window):
        low, high, start, end = (edges[at] for edges in (geometry.box, geometry.target) for at in (axis, axis + 2))
        scale, whole = (high - low) / (end - start), geometry.picture[axis]
        edges = [min(max(low + (edge - start) * scale, 0), whole) / whole for edge in (first, last + 1)]
        starts.append(edges[0])
        sizes.append(edges[1] - edges[0])
    return [*starts, *sizes] if min(sizes) > 0 else None


def _looked_for(served: ServedRun, layer: str) -> tuple[Shapes, Found]:
    """All channels of the layer in one pass; kept, as the next channel is asked for soon."""
    kept: Recent[tuple[Shapes, Found]] = recent(served, "exciting", KEPT_LAYERS)
    with copied(served) as model:
        if (known := kept.known(layer)) is not None:
            return known
        channels = range(_channels(served, layer))
        readable, shapes = _readable(served)
        found = explanation.exciting(model, _batches(served, readable), layer, channels, top=32)
        return kept.keep(layer, (shapes, found))


def _channels(served: ServedRun, layer: str) -> int:
    known = inside(served)
    shape = known.shape(known.node_of(layer))
    if len(shape) != 4:
        raise Refused(422, f"layer {layer!r:.80} gives no feature maps; name a convolution or a block of them")
    return shape[1]


def _readable(served: ServedRun) -> tuple[list[np.ndarray], Shapes]:
    """Spread over all thumbnails, whose order is that of the classes: uint8 (C, H, W) as the network sees each."""
    there = list(thumbnails_of(served.run).values())
    if not there:
        raise Refused(404, "the run has no pictures to look at; `convlens evaluate` keeps some")
    step = max(1, -(-len(there) // MOST_PICTURES))
    preprocess, readable, shapes = served.run.preprocess, [], Shapes()
    for file in there[::step]:
        with suppress(PictureError):
            picture = decode(file, short_side=preprocess.decode_side)
            readable.append(preprocess.pixels(picture))
            shapes[file] = picture.shape[0], picture.shape[1]
    return readable, shapes


def _batches(served: ServedRun, pixels: list[np.ndarray]) -> Iterator[Tensor]:
    for first in range(0, len(pixels), BATCH):
        yield served.run.preprocess.normalise(torch.from_numpy(np.stack(pixels[first : first + BATCH])))
