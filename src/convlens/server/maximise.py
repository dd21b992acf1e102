"""`POST /v1/maximise`: the picture that a channel or a class answers most to, grown from noise within a few seconds."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from torch import nn

from convlens import explanation
from convlens.errors import UsageError
from convlens.server.drawn import png_address
from convlens.server.endpoint import Asked, Doc
from convlens.server.inside import copied
from convlens.server.recent import Recent, recent
from convlens.server.shelf import ServedRun

SECONDS = 12.0  # of growing
MOST_STEPS, FEWEST_STEPS, TRIAL_STEPS = 256, 16, 2
KEPT_PICTURES = 64
MAXIMISE_DOC = Doc(
    "The picture that a channel of a layer, or a class, answers most to.",
    takes={
        "layer": {"type": ["string", "null"], "default": None, "description": "the path of a layer; none for a class"},
        "channel": {"type": ["integer", "null"], "minimum": 0, "maximum": 1_000_000, "default": None},
        "class": {
            "type": ["string", "integer", "null"],
            "default": None,
            "maxLength": 500,
            "description": "its name or its number",
        },
        "steps": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_STEPS,
            "default": MOST_STEPS,
            "description": "at most",
        },
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "default": 0},
    },
    answer={
        "layer": {"type": ["string", "null"]},
        "unit": {"type": "integer"},
        "picture": {"type": "string"},
        "before": {"type": "number"},
        "value": {"type": "number"},
        "steps": {"type": "integer"},
        "seconds": {"type": "number"},
    },
)


def maximise(asked: Asked) -> dict[str, Any]:
    served, layer, seed = asked.served, asked.values["layer"], int(asked.values["seed"])
    unit = _unit(asked)
    most = int(asked.values["steps"])
    key = (layer, unit, seed, most)
    kept: Recent[dict[str, Any]] = recent(served, "maximised", KEPT_PICTURES)
    with copied(served) as model:
        return kept.known(key) or kept.keep(key, _grown(model, served, Wish(unit, layer, seed, most)))


def _unit(asked: Asked) -> int:
    layer, channel = asked.values["layer"], asked.values["channel"]
    of_class = asked.served.class_number(asked.values["class"])
    if (layer is None) != (channel is None) or (of_class is None) == (layer is None):
        raise UsageError("what is to be shown is not said; give a class, or a layer and one of its channels")
    number = of_class if channel is None else int(channel)
    assert number is not None  # one of them came
    return number


class Wish(NamedTuple):
    """A class, or a channel of a layer; at most so many steps."""

    unit: int
    layer: str | None
    seed: int
    steps: int


def _grown(model: nn.Module, served: ServedRun, wish: Wish) -> dict[str, Any]:
    """As many steps as the time allows, which two steps tell."""
    preprocess = served.run.preprocess
    settings: dict[str, Any] = {"layer": wish.layer, "mean": preprocess.mean, "std": preprocess.std}
    shape = (preprocess.channels, *preprocess.size)
    explanation.maximise(model, wish.unit, shape, steps=1, **settings)  # whatever happens only once
    began = time.perf_counter()
    explanation.maximise(model, wish.unit, shape, steps=TRIAL_STEPS, **settings)
    each = (time.perf_counter() - began) / TRIAL_STEPS
    steps = min(wish.steps, max(FEWEST_STEPS, int(SECONDS / each)))
    began = time.perf_counter()
    found = explanation.maximise(model, wish.unit, shape, steps=steps, seed=wish.seed, **settings)
    picture = found.pictures[0]
    return {
        "layer": wish.layer,
        "unit": wish.unit,
        "picture": png_address(picture[:, :, 0] if picture.shape[2] == 1 else picture),
        "before": found.before[0],
        "value": found.values[0],
        "steps": steps,
        "seconds": time.perf_counter() - began,
    }
