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
    "Of the run's thumbnails those that excite a channel most; `window` is what of the network's input the unit saw.",
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


def exciting(asked: Asked) -> dict[str, Any]:
    served, layer, channel = asked.served, asked.values["layer"], int(asked.values["channel"])
    files, found = _looked_for(served, layer)
    if channel not in found:
        raise Refused(400, f"channel {channel} came; '{layer}' has {len(found)} channels, counted from 0")
    best = found[channel][: int(asked.values["count"])]
    return {
        "layer": layer,
        "channel": channel,
        "looked_at": len(files),
        "pictures": [_picture(served, files[one.index], one) for one in best],
    }


def _picture(served: ServedRun, file: Path, one: explanation.Excited) -> dict[str, Any]:
    return {
        "name": file.name,
        "url": served.thumbnail_address(file.name),
        "value": one.value,
        "row": one.position[0],
        "column": one.position[1],
        "window": None if one.window is None else [*one.window[0], *one.window[1]],
    }


def _looked_for(served: ServedRun, layer: str) -> tuple[list[Path], Found]:
    """All channels of the layer in one pass; kept, as the next channel is asked for soon."""
    kept: Recent[tuple[list[Path], Found]] = recent(served, "exciting", KEPT_LAYERS)
    with copied(served) as model:
        if (known := kept.known(layer)) is not None:
            return known
        channels = range(_channels(served, layer))
        readable = _readable(served)
        found = explanation.exciting(model, _batches(served, list(readable.values())), layer, channels, top=32)
        return kept.keep(layer, (list(readable), found))


def _channels(served: ServedRun, layer: str) -> int:
    known = inside(served)
    shape = known.shape(known.node_of(layer))
    if len(shape) != 4:
        raise Refused(422, f"layer {layer!r:.80} gives no feature maps; name a convolution or a block of them")
    return shape[1]


def _readable(served: ServedRun) -> dict[Path, np.ndarray]:
    """Spread over all thumbnails, whose order is that of the classes: uint8 (C, H, W) as the network sees each."""
    there = list(thumbnails_of(served.run).values())
    if not there:
        raise Refused(404, "the run has no pictures to look at; `convlens evaluate` keeps some")
    step = max(1, -(-len(there) // MOST_PICTURES))
    preprocess, readable = served.run.preprocess, {}
    for file in there[::step]:
        with suppress(PictureError):
            readable[file] = preprocess.pixels(decode(file, short_side=preprocess.decode_side))
    return readable


def _batches(served: ServedRun, pixels: list[np.ndarray]) -> Iterator[Tensor]:
    for first in range(0, len(pixels), BATCH):
        yield served.run.preprocess.normalise(torch.from_numpy(np.stack(pixels[first : first + BATCH])))
