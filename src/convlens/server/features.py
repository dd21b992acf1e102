"""`POST /v1/features`: what the channels of layers answer to a picture, as sheets of small grey maps."""

from __future__ import annotations

import base64
from math import prod
from typing import Any

import numpy as np

from convlens.arithmetic import Recording
from convlens.errors import UsageError
from convlens.server.checking import whole_number
from convlens.server.endpoint import ONE, Asked, Doc
from convlens.server.inside import PROBABILITIES, Inside, inside, recording_of
from convlens.server.network import is_spatial
from convlens.server.refused import Refused
from convlens.server.sheets import greys, sheet

MOST_NUMBERS = 16_000_000  # of the layers whose numbers are sent
STRONGEST, NUMBER = "strongest", "number"
FEATURES_DOC = Doc(
    "Feature maps of layers: for each channel a grey map from its least to its most; of dense layers the numbers.",
    takes={
        "layers": {
            "type": "array",
            "items": {"type": ["string", "integer"]},
            "minItems": 1,
            "maxItems": 256,
            "description": "paths of layers or modules, as /v1/network lists them, or numbers of nodes",
        },
        "count": {"type": "integer", "minimum": 1, "maximum": 4096, "default": 8, "description": "channels of each"},
        "first": {"type": "integer", "minimum": 0, "maximum": 1_000_000, "default": 0, "description": "skip so many"},
        "order": {"type": "string", "enum": [STRONGEST, NUMBER], "default": STRONGEST},
        "values": {"type": "boolean", "default": False, "description": "the numbers of these maps, as float32"},
    },
    answer={"features": {"type": "array", "items": {"type": "object"}}},
    pictures=ONE,
    required=("layers",),
)


def features(asked: Asked) -> dict[str, Any]:
    known = inside(asked.served)
    nodes = [_node(known, layer) for layer in asked.values["layers"]]
    num_numbers = sum(prod(known.shape(node)) for node in nodes)
    if asked.values["values"] and num_numbers > MOST_NUMBERS:
        raise Refused(413, f"these layers have {num_numbers:,} numbers; ask for fewer layers, or without values")
    recording = recording_of(asked)
    layers = zip(asked.values["layers"], nodes, strict=True)
    return {"features": [_of_node(asked, known, recording, layer, node) for layer, node in layers]}


def _node(known: Inside, layer: str | float) -> int:
    if layer == PROBABILITIES:
        raise UsageError("probabilities have no maps; /v1/predict gives them, or /v1/unit one as its softmax")
    number = whole_number(layer) if isinstance(layer, str) and layer not in known.names else layer
    return known.node_of(str(layer)) if number is None or isinstance(number, str) else known.checked_node(int(number))


def _of_node(asked: Asked, known: Inside, recording: Recording, layer: str | int, node: int) -> dict[str, Any]:
    value = recording.value(node)
    field = known.graph.receptive_field(node, gates=False) if node >= 0 else None
    own = {
        "layer": layer,
        "node": node,
        "shape": value.shape[1:],
        "receptive_field": None if field is None else field.size,
        "stride": None if field is None else field.stride,
    }
    if not is_spatial(value.shape):
        return own | {"vector": value.ravel().tolist()}
    return own | maps_of(value[0], asked.values)


def maps_of(maps: np.ndarray, values: dict[str, Any]) -> dict[str, Any]:
    """float32 (C, h, w) -> the chosen channels, as the page draws them."""
    channels = chosen_channels(maps, values["order"], int(values["first"]), int(values["count"]))
    if not len(channels):
        raise UsageError(f"first is {values['first']}; the layer has {len(maps)} channels, counted from 0")
    chosen = maps[channels]
    least, most = chosen.min((1, 2)), chosen.max((1, 2))
    rows = zip(channels.tolist(), least.tolist(), most.tolist(), strict=True)
    numbers = {"base64": base64.b64encode(chosen.tobytes()).decode("ascii"), "shape": chosen.shape}
    return {
        "channels": [{"channel": channel, "least": low, "most": high} for channel, low, high in rows],
        **sheet(greys(chosen)),
        "values": numbers if values["values"] else None,
    }


def chosen_channels(maps: np.ndarray, order: str, first: int, count: int) -> np.ndarray:
    """By their largest value, as `explain --method feature_maps` ranks them, or by their number."""
    ranked = np.argsort(-maps.max((1, 2)), kind="stable") if order == STRONGEST else np.arange(len(maps))
    return ranked[first : first + count]
