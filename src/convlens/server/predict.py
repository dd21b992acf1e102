"""`POST /v1/predict`: classes and calibrated probabilities, the same as `convlens predict` gives."""

from __future__ import annotations

import time
from typing import Any

from torch import Tensor

from convlens.measurement import probabilities
from convlens.server.endpoint import MANY, Asked, Doc, Later
from convlens.server.kept import KeptPicture
from convlens.server.shelf import ServedRun

PREDICT_DOC = Doc(
    "Classes and calibrated probabilities of pictures.",
    takes={
        "top": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1_000_000,
            "default": 5,
            "description": "how many classes to name",
        },
        "all": {"type": "boolean", "default": False, "description": "name all classes"},
    },
    answer={
        "run": {"type": "string"},
        "predictions": {"type": "array", "items": {"type": "object"}},
        "unreadable": {"type": "array", "items": {"type": "object"}},
        "milliseconds": {"type": "number"},
    },
    pictures=MANY,
)


def predict(asked: Asked) -> dict[str, Any] | Later:
    served, began = asked.served, time.perf_counter()
    top = len(served.run.classes) if asked.values["all"] else asked.values["top"]

    def finish(logits: Tensor | None) -> dict[str, Any]:
        shares = () if logits is None else probabilities(logits, served.run.temperature)
        rows = zip(asked.pictures, shares, strict=True)
        return {
            "run": served.name,
            "predictions": [prediction(served, picture, row, top) for picture, row in rows],
            "unreadable": asked.unreadable,
            "milliseconds": round(1000 * (time.perf_counter() - began), 3),
        }

    if not asked.pictures:
        return finish(None)
    return Later(served.batcher.submit([picture.pixels(served) for picture in asked.pictures]), finish)


def prediction(served: ServedRun, picture: KeptPicture, shares: Tensor, top: int) -> dict[str, Any]:
    """`shares` (K,) are probabilities."""
    best, classes = shares.topk(min(top, len(served.run.classes))), served.run.classes
    ranked = [
        {"index": index, "label": classes[index], "probability": share}
        for share, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
    return {
        "picture": picture.id,
        "label": ranked[0]["label"],
        "probability": ranked[0]["probability"],
        "top": ranked,
        "width": picture.width,
        "height": picture.height,
    }
