"""`/v1/methods`: which explanations are defined for a run's network, found out once, on a blank picture."""

from __future__ import annotations

from typing import Any

import torch

from convlens import explanation
from convlens.errors import ExplanationError
from convlens.explanation import METHODS, Method
from convlens.server.endpoint import Asked, Doc
from convlens.server.recent import Recent, recent
from convlens.server.shelf import ServedRun

# what makes a method short, and changes nothing of whether it is defined
SHORTEST: dict[str, dict[str, Any]] = {"smooth_grad": {"samples": 1}, "integrated_gradients": {"steps": 1}}
NO_GRADIENT = ("occlusion", "score_cam")  # which pass hundreds of pictures through the network

METHODS_DOC = Doc(
    "The methods of explanation, and whether each is defined for the network.",
    answer={"run": {"type": "string"}, "methods": {"type": "array", "items": {"type": "object"}}},
)


def list_methods(asked: Asked) -> dict[str, Any]:
    served = asked.served
    known: Recent[list[dict[str, Any]]] = recent(served, "methods", 1)
    return {"run": served.name, "methods": known.get("methods", lambda: _ask_all(served), served.lock)}


def _ask_all(served: ServedRun) -> list[dict[str, Any]]:
    blank = torch.zeros(served.run.input_shape)
    return [_facts(method, _why_not(served, method, blank)) for method in METHODS.values()]


def _facts(method: Method, why: str) -> dict[str, Any]:
    told = {name: getattr(method, name) for name in ("name", "title", "uses_layer", "signed", "sign", "source")}
    return {**told, "options": {**method.options}, "defined": not why, "why": why}


def _why_not(served: ServedRun, method: Method, blank: torch.Tensor) -> str:
    """Why it is not defined here; nothing where it is."""
    try:
        if method.name not in NO_GRADIENT:
            explanation.explain(served.model, blank, 0, method=method, **SHORTEST.get(method.name, {}))
        elif method.uses_layer:
            explanation.feature_maps(served.model, blank)
    except ExplanationError as error:
        return str(error)
    return ""
