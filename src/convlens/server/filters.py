"""`GET /v1/filters`: the kernels of a convolution as small pictures, mid grey being zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlens import explanation
from convlens.errors import UsageError
from convlens.explanation.filters import shades
from convlens.server.endpoint import Asked, Doc
from convlens.server.sheets import sheet

FILTERS_DOC = Doc(
    "The filters of a convolution: one tile each, or all planes of one filter, strongest first.",
    takes={
        "layer": {"type": "string", "description": "the first convolution by default"},
        "channel": {"type": "integer", "minimum": 0, "maximum": 1_000_000, "description": "all planes of this one"},
        "count": {"type": "integer", "minimum": 1, "maximum": 4096, "default": 64},
    },
    answer={
        "layer": {"type": "string"},
        "colour": {"type": "boolean"},
        "num_filters": {"type": "integer"},
        "filters": {"type": "array", "items": {"type": "object"}},
        "sheet": {"type": "string"},
        "columns": {"type": "integer"},
        "tile": {"type": "array", "items": {"type": "integer"}},
    },
)


def filters(asked: Asked) -> dict[str, Any]:
    """`shade = 128 + 127 · weight / largest`, the largest being the filter's own."""
    served, channel, count = asked.served, asked.values.get("channel"), int(asked.values["count"])
    with served.lock:
        found = explanation.filters(served.model, asked.values.get("layer"))
    if channel is not None and channel >= len(found.kernels):
        raise UsageError(f"channel {channel} came; '{found.layer}' has {len(found.kernels)} filters, counted from 0")
    norms = found.norms
    if channel is None:
        chosen = np.arange(len(found.kernels))[:count]
        tiles = [shades(found.kernels[k])[0] for k in chosen]
        rows = [_row(found, int(k), 0, norms) for k in chosen]
    else:
        planes = range(min(found.kernels.shape[1], count))
        tiles = list(shades(found.kernels[channel])[: len(planes)])
        rows = [_row(found, int(channel), plane, norms) for plane in planes]
    joined = np.stack(tiles)
    return {
        "layer": found.layer,
        "colour": found.colour,
        "num_filters": len(found.kernels),
        "filters": rows,
        **sheet(joined if found.colour else joined[..., 0]),
    }


def _row(found: explanation.Filters, k: int, plane: int, norms: np.ndarray) -> dict[str, Any]:
    """`input` is the channel that the plane reads; None where it reads all colours."""
    largest = float(np.abs(found.kernels[k]).max())
    return {
        "channel": k,
        "input": None if found.colour else int(found.inputs[k, plane]),
        "norm": float(norms[k]),
        "largest": largest,
    }
