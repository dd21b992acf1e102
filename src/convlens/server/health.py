"""`GET /v1/health` and `GET /v1/run`: that the server answers, and what it serves."""

from __future__ import annotations

from typing import Any

import convlens
from convlens.server.endpoint import Asked, Doc
from convlens.server.samples import ink_of, takes_drawings
from convlens.server.shelf import ServedRun

TEXT, NUMBER, COUNT, FLAG = ({"type": kind} for kind in ("string", "number", "integer", "boolean"))
NAMES = {"type": "array", "items": TEXT}

HEALTH_DOC = Doc("Whether the server answers.", answer={"status": TEXT, "runs": NAMES, "convlens": TEXT})
RUN_DOC = Doc(
    "A served run: its network, its classes, and pictures to try.",
    answer={
        "name": TEXT,
        "network": TEXT,
        "classes": NAMES,
        "num_parameters": COUNT,
        "input": {"type": "object", "description": "channels, height, width, and how pictures are fitted"},
        "temperature": NUMBER,
        "engine": TEXT,
        "metrics": {"type": "object"},
        "has_pictures": FLAG,
        "samples": {"type": "array", "items": {"type": "object"}},
        "digits": FLAG,
        "ink": {"enum": ["light", "dark"]},
        "runs": NAMES,
        "watching": FLAG,
    },
)


def health(asked: Asked) -> dict[str, Any]:
    return {"status": "ok", "runs": list(asked.shelf.runs), "convlens": convlens.__version__}


def run_facts(asked: Asked) -> dict[str, Any]:
    """Of a training that has not ended there is only its name."""
    if asked.shelf.training is not None and not asked.shelf.runs:
        return {"name": asked.shelf.training.name, "classes": [], "samples": [], "runs": [], "watching": True}
    served = asked.served
    run, samples = served.run, served.samples
    channels, height, width = run.input_shape[1:]
    return {
        "name": served.name,
        "network": network_name(served),
        "classes": run.classes,
        "num_parameters": sum(parameter.numel() for parameter in served.model.parameters()),
        "input": {
            "channels": channels,
            "height": height,
            "width": width,
            "fit": run.preprocess.fit,
            "crop_ratio": run.preprocess.crop_ratio,
        },
        "temperature": run.temperature,
        "engine": served.words,
        "metrics": run.manifest.metrics,
        "has_pictures": bool(samples),
        "samples": [
            {"id": one.id, "url": served.thumbnail_address(one.file.name), "label": one.label} for one in samples
        ],
        "digits": takes_drawings(run),
        "ink": ink_of(run, samples),
        "runs": list(asked.shelf.runs),
        "watching": asked.shelf.training is not None,
    }


def network_name(served: ServedRun) -> str:
    """The zoo's name of the network, or the file and class of one's own."""
    architecture = served.run.manifest.architecture
    return str(architecture.get("name") or architecture.get("network") or type(served.model).__name__)
