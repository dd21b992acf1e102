"""`/v1/explain`: a map of what the network looks at, and, where it is asked for, how far the map can be trusted."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import torch

from convlens import explanation
from convlens.errors import UsageError
from convlens.explanation import METHODS, Explanation, Method, SanityCheck, num_maps
from convlens.explanation.faithfulness import num_passes
from convlens.explanation.methods import find_method
from convlens.explanation.sanity import PARTS
from convlens.explanation.stability import COPIES
from convlens.measurement import probabilities
from convlens.pictures import heat_layer
from convlens.server.drawn import png_address
from convlens.server.endpoint import ONE, Asked, Doc
from convlens.server.recent import Recent, recent
from convlens.server.shelf import ServedRun

MOST_MAPS, MOST_CHECKS = 64, 64  # kept for each run
MOST = {"samples": 200, "steps": 500}  # of a method's options: what a page waits for
MOST_WINDOWS = 10_000

Question = dict[str, Any]


@dataclass(frozen=True)
class Map:
    """A map, with the class it is of and the calibrated probability of that class; `seconds` that it took."""

    found: Explanation
    target: int
    probability: float
    seconds: float
    address: str


def explain(asked: Asked) -> dict[str, Any]:
    served, values = asked.served, asked.values
    method = find_method(values.get("method") or "grad_cam")
    options = dict(values.get("options") or {})
    check_cost(method, options, served.run.preprocess.size)
    question = {"method": method.name, "layer": values.get("layer"), **options}
    target = served.class_number(values.get("target"))
    key = (asked.picture.id, target, json.dumps(question, sort_keys=True))
    maps: Recent[Map] = recent(served, "maps", MOST_MAPS)
    made = maps.get(key, lambda: _draw(asked, target, question), served.lock)
    checks: Recent[dict[str, Any]] = recent(served, "checks", MOST_CHECKS)
    sanity = checks.known(key)
    if sanity is None and values.get("sanity"):
        sanity = checks.get(key, lambda: _check(asked, made, question), served.lock)
    return _answer(served, made, sanity, whole=bool(values.get("values")))


def check_cost(method: Method, options: dict[str, Any], size: tuple[int, int]) -> None:
    """UsageError for options that the method does not have, or that would keep everyone else waiting."""
    method.check_options(options)
    for name, most in MOST.items():
        if options.get(name, 0) > most:
            raise UsageError(f"{name} came as {options[name]:,}; expected {most:,} at the most in a page")
    window, stride = (options.get(name) for name in ("window", "stride"))
    apart = stride if isinstance(stride, int) else (window + 1) // 2 if isinstance(window, int) else 0
    if apart > 0 and (places := (size[0] // apart + 1) * (size[1] // apart + 1)) > MOST_WINDOWS:
        raise UsageError(
            f"{places:,} windows would be covered, {MOST_WINDOWS:,} at most are taken; give a larger stride"
        )


def _images(asked: Asked) -> torch.Tensor:
    pixels = torch.from_numpy(asked.picture.pixels(asked.served).copy())
    return asked.served.run.preprocess.normalise(pixels[None])


def _draw(asked: Asked, target: int | None, question: Question) -> Map:
    served = asked.served
    logits = served.batcher.submit([asked.picture.pixels(served)]).result()
    shares = probabilities(logits, served.run.temperature)[0]
    number = int(shares.argmax()) if target is None else target
    began = time.monotonic()
    found = explanation.explain(served.model, _images(asked), number, **question)
    seconds = time.monotonic() - began
    return Map(found, number, float(shares[number]), seconds, _address(found))


def _address(found: Explanation) -> str:
    return png_address(heat_layer(found.heat()[0], signed=found.signed))


def _check(asked: Asked, made: Map, question: Question) -> dict[str, Any]:
    """As `convlens explain` does, on this picture; not where it would take longer than anyone waits."""
    expected = _seconds_of_check(asked, made)
    if expected > asked.shelf.limits.long_seconds:
        why = f"it would take about {expected:,.0f} s here; `convlens explain` has the time"
        return {"badge": "not asked", "passed": None, "reason": why, "num_pictures": 0, "rows": []}
    return as_rows(explanation.sanity_check(asked.served.model, _images(asked), [made.target], **question))


def _seconds_of_check(asked: Asked, made: Map) -> float:
    """At most about: many pictures go through a network faster than one after the other."""
    images, began = _images(asked), time.monotonic()
    with torch.inference_mode():
        asked.served.model(images)
    return (num_maps(1) + COPIES + 1) * made.seconds + num_passes() * (time.monotonic() - began)


def as_rows(check: SanityCheck) -> dict[str, Any]:
    """The verdict, and each part's with its reason."""
    told = check.to_dict()
    rows = [{"name": name, "passed": told[name]["passed"], "reason": told[name]["reason"]}
            for name in PARTS if told[name]]  # fmt: skip
    kept = ("badge", "passed", "reason", "num_pictures")
    return {**{name: told[name] for name in kept}, "rows": rows}


def _answer(served: ServedRun, made: Map, sanity: dict[str, Any] | None, *, whole: bool) -> dict[str, Any]:
    found = made.found
    return {
        "run": served.name,
        "method": found.method,
        "title": METHODS[found.method].title,
        "layer": found.layer,
        "target": served.run.classes[made.target],
        "probability": made.probability,
        "signed": found.signed,
        "sign": found.sign,
        "note": found.note,
        "heat": made.address,
        "values": found.maps[0] if whole else None,
        "sanity": sanity,
        "seconds": round(made.seconds, 4),
    }


TEXT, NUMBER = {"type": "string"}, {"type": "number"}
EXPLAIN_DOC = Doc(
    "A map over the picture, as the network sees it, of what speaks for a class.",
    takes={
        "method": {"type": "string", "description": "a method that GET /v1/methods lists", "default": "grad_cam"},
        "target": {
            "type": ["string", "integer", "null"],
            "maxLength": 500,
            "description": "a class by name or number; the predicted one where null",
        },
        "layer": {"type": ["string", "null"], "description": "a layer's path; the last with feature maps where null"},
        "sanity": {"type": "boolean", "description": "check the map too, which takes much longer", "default": False},
        "values": {"type": "boolean", "description": "the map as numbers too", "default": False},
        "options": {"type": "object", "description": 'options of the method, like {"window": 15}'},
    },
    answer={
        **dict.fromkeys(("run", "method", "title", "target", "sign", "note", "heat"), TEXT),
        "layer": {"type": ["string", "null"]},
        **dict.fromkeys(("probability", "seconds"), NUMBER),
        "signed": {"type": "boolean"},
        "values": {"type": ["array", "null"], "items": {"type": "array", "items": {"type": "number"}}},
        "sanity": {"type": ["object", "null"]},
    },
    pictures=ONE,
)
