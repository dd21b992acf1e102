"""`POST /v1/unit`: one unit as the sum it is, down to the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlens.arithmetic import UnitSum, take_apart
from convlens.errors import UsageError
from convlens.server.checking import whole_number
from convlens.server.endpoint import ONE, Asked, Doc
from convlens.server.inside import PROBABILITIES, inside, recording_of
from convlens.server.numpy_engine import NUMPY, TORCH, as_numpy_computes

PLACE = {"type": "integer", "minimum": 0, "maximum": 10_000_000}
UNIT_DOC = Doc(
    "One unit of one layer as the sum it is: what it reads, the weights, and each step up to its value.",
    takes={
        "node": {"type": ["integer", "string"], "description": "its number, -1 the picture, or 'probabilities'"},
        "layer": {"type": "string", "description": "the path of a layer or a module, in place of the node"},
        "channel": {**PLACE, "default": 0},
        "row": PLACE,
        "column": PLACE,
        "index": {"type": "array", "items": PLACE, "maxItems": 8, "description": "the whole index, batch included"},
        "engine": {"type": "string", "enum": [TORCH, NUMPY], "default": TORCH, "description": "whose values are shown"},
    },
    answer={
        "node": {"type": ["integer", "string"]},
        "layer": {"type": "string"},
        "kind": {"type": "string"},
        "position": {"type": "object"},
        "value": {"type": ["number", "null"]},
        "computed": {"type": ["number", "null"]},
        "agrees": {"type": "boolean"},
        "receptive_field": {"type": ["object", "null"]},
        "steps": {"type": "array", "items": {"type": "object"}},
        "engine": {"type": "string"},
    },
    pictures=ONE,
)


def unit(asked: Asked) -> dict[str, Any]:
    recording = recording_of(asked)
    node = _node(asked)
    position = _position(asked, node)
    temperature = asked.served.run.temperature
    found = take_apart(recording, node, position, temperature=temperature)
    if asked.values["engine"] == TORCH:
        return {**_with_pixels(asked, found), "engine": TORCH}
    again = take_apart(as_numpy_computes(asked, recording), node, position, temperature=temperature)
    return {**_with_pixels(asked, again), "engine": NUMPY, "torch": _beside(again, found)}


def _node(asked: Asked) -> int | str:
    node, layer = asked.values.get("node"), asked.values.get("layer")
    if (node is None) == (layer is None):
        raise UsageError("give the node or the layer of the unit, one of them; /v1/network lists both")
    if PROBABILITIES in (node, layer):
        return PROBABILITIES
    number = whole_number(node) if isinstance(node, str) else node  # text in a query or a form
    if number is None and layer is None:
        raise UsageError(f"the node came as {node!r:.40}; expected its number, or '{PROBABILITIES}'")
    return inside(asked.served).node_of(str(layer)) if number is None else int(number)


def _position(asked: Asked, node: int | str) -> list[int]:
    """As many of channel, row and column as the node has; the middle of a map where they are left out."""
    if asked.values.get("index") is not None:
        return [int(at) for at in asked.values["index"]]
    channel = int(asked.values["channel"])
    if node == PROBABILITIES:
        return [channel]
    known = inside(asked.served)
    sides = known.shape(known.checked_node(int(node)))[2:]
    given = [asked.values.get(name) for name in ("row", "column")]
    places = [side // 2 if at is None else int(at) for at, side in zip(given, sides, strict=False)]
    return [channel, *places]


def _with_pixels(asked: Asked, found: UnitSum) -> dict[str, Any]:
    """What is read of the picture has the pixels, 0 to 255, that preprocessing made the numbers of."""
    answer = found.to_dict()
    pixels = asked.picture.pixels(asked.served)
    places = [answer["position"]] if found.node == -1 else []
    windows = [step["reads"] for step in answer["steps"] if step.get("reads")]
    windows += [term["reads"] for step in answer["steps"] for term in step.get("operands", ()) if term["reads"]]
    for reads in (*places, *(one for one in windows if one["node"] == -1)):
        reads |= _pixels(asked, pixels, reads["index"])
    return answer


def _pixels(asked: Asked, pixels: np.ndarray, index: list[Any]) -> dict[str, Any]:
    """The step down to the pixel: number = (pixel / 255 − mean) / std."""
    preprocess = asked.served.run.preprocess
    mean, std = np.array(preprocess.mean), np.array(preprocess.std)
    if not index or not isinstance(index[0], list):
        channel, row, column = index[1:]
        return {
            "pixel": int(pixels[channel, row, column]),
            "mean": float(mean[channel]),
            "std": float(std[channel]),
        }
    channels, rows, columns = (np.array(part) for part in index[1:])
    inside_it = ((rows >= 0) & (rows < pixels.shape[1]))[:, None] & (columns >= 0) & (columns < pixels.shape[2])
    read = pixels[np.ix_(channels, rows.clip(0, pixels.shape[1] - 1), columns.clip(0, pixels.shape[2] - 1))]
    shown = read.astype(object)
    shown[:, ~inside_it] = None
    return {"pixels": shown.tolist(), "mean": mean[channels].tolist(), "std": std[channels].tolist()}


def _beside(numpy: UnitSum, torch: UnitSum) -> dict[str, Any]:
    """What torch has for the same unit, and for every step."""
    steps = zip(numpy.steps, torch.steps, strict=True)
    return {
        "value": torch.value,
        "difference": numpy.value - torch.value,
        "steps": [{"value": two.value, "difference": one.value - two.value} for one, two in steps],
    }
