"""`POST /v1/exciting`: the pictures of the run that excite a channel most, and what of them the unit saw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convlens import explanation
from convlens.errors import PictureError
from convlens.pictures import decode
from convlens.server.endpoint import Asked, Doc
from convlens.server.inside import copied, inside
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
        "url": f"/v1/thumbnails/{file.name}?run={served.quoted}",
        "value": one.value,
        "row": one.position[0],
        "column": one.position[1],
        "window": None if one.window is None else [*one.window[0], *one.window[1]],
    }


def _looked_for(served: ServedRun, layer: str) -> tuple[list[Path], Found]:
    """All channels of the layer in one pass; kept, as the next channel is asked for soon."""
    with copied(served) as model:
        kept: dict[str, tuple[list[Path], Found]] = served.kept.setdefault("exciting", {})
        if layer not in kept:
            channels = _channels(served, layer)
            files = _readable(served)
            batches = _batches(served, files)
            found = explanation.exciting(model, batches, layer, range(channels), top=32)
            while len(kept) >= KEPT_LAYERS:
                kept.pop(next(iter(kept)))
            kept[layer] = (files, found)
        return kept[layer]


def _channels(served: ServedRun, layer: str) -> int:
    known = inside(served)
    shape = known.shape(known.node_of(layer))
    if len(shape) != 4:
        raise Refused(422, f"layer {layer!r:.80} gives no feature maps; name a convolution or a block of them")
    return shape[1]


def _readable(served: ServedRun) -> list[Path]:
    """Spread over all thumbnails, whose order is that of the classes."""
    there = list(thumbnails_of(served.run).values())
    if not there:
        raise Refused(404, "the run has no pictures to look at; `convlens evaluate` keeps some")
    step = max(1, -(-len(there) // MOST_PICTURES))
    return [file for file in there[::step] if _pixels(served, file) is not None]


def _batches(served: ServedRun, files: list[Path]) -> Iterator[Tensor]:
    for first in range(0, len(files), BATCH):
        pixels = [_pixels(served, file) for file in files[first : first + BATCH]]
        yield served.run.preprocess.normalise(torch.stack([one for one in pixels if one is not None]))


def _pixels(served: ServedRun, file: Path) -> Tensor | None:
    preprocess = served.run.preprocess
    try:
        return torch.tensor(preprocess.pixels(decode(file, short_side=preprocess.decode_side)))
    except PictureError:
        return None
