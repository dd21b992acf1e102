"""`/v1/changed`: the picture turned, moved, blurred, covered, and what the network says of it then."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from convlens.measurement import probabilities
from convlens.measurement.sliders import SLIDERS, changed
from convlens.server.drawn import png_address, upright
from convlens.server.endpoint import ONE, Asked, Doc, Later
from convlens.server.predict import prediction

TOLD = ("name", "title", "unit", "least", "most", "usual", "step")

CHANGES_DOC = Doc(
    "The ways in which a picture can be changed, in the order in which they are applied.",
    answer={"changes": {"type": "array", "items": {"type": "object"}}},
)
CHANGED_DOC = Doc(
    "A picture, as the network sees it, changed, and its classes then; the same changes give the same picture.",
    takes={
        "changes": {
            "type": "object",
            "properties": {
                slider.name: {"type": "number", "minimum": slider.least, "maximum": slider.most}
                for slider in SLIDERS.values()
            },
            "default": {},
            "description": 'levels by name, like {"rotation": -15, "noise": 8}; GET /v1/changes lists them',
        },
        "top": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 5},
    },
    answer={"run": {"type": "string"}, "seen": {"type": "string"}, "prediction": {"type": "object"}},
    pictures=ONE,
)


def list_changes(_: Asked) -> dict[str, Any]:
    return {"changes": [{name: getattr(slider, name) for name in TOLD} for slider in SLIDERS.values()]}


def change(asked: Asked) -> Later:
    served, picture, top = asked.served, asked.picture, int(asked.values["top"])
    seen = torch.from_numpy(picture.pixels(served).copy())
    pixels = changed(seen[None], asked.values["changes"])[0].numpy()

    def finish(logits: Tensor) -> dict[str, Any]:
        shares = probabilities(logits, served.run.temperature)[0]
        said = prediction(served, picture, shares, top)
        return {"run": served.name, "seen": png_address(upright(pixels)), "prediction": said}

    return Later(served.batcher.submit([pixels]), finish)
