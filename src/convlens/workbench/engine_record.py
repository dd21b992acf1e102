"""The engine that was chosen for a run on this machine, kept in the run: `engines/<machine>.json`.

A choice counts for the same weights, versions, threads, input and batch, and while no more pictures are there to check
it on. Any other is measured anew; so is one for a network of the user's own, whose code may have changed.
"""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from convlens.engines import LEAST_PICTURES, EngineChoice
from convlens.errors import ConvlensError
from convlens.runs import Run, installed_versions
from convlens.storage import sha256_bytes, write_json
from convlens.training.machine import describe_machine

ENOUGH = max(LEAST_PICTURES.values())  # pictures to compare on: more change nothing about who may be chosen
PACKAGES = ("onnx", "onnxscript", "onnxruntime", "openvino")


def machine_key(machine: dict[str, Any]) -> str:
    """A name for a file: machines that are described alike have the same."""
    return sha256_bytes(json.dumps(machine, sort_keys=True).encode())[:16]


def record_of(run: Run) -> Path:
    return run.folder.engines / f"{machine_key(describe_machine())}.json"


def known_choice(run: Run, batch: int, *, threads: int, pictures: int) -> EngineChoice | None:
    """What was chosen before, if it still counts; `pictures` are those that could be compared now."""
    if run.given_model is not None:
        return None
    for one in _read(record_of(run)):
        if one.get("about") != _about(run, batch, threads):
            continue
        with suppress(KeyError, TypeError, ValueError, ConvlensError):  # damaged: measured anew
            if one["pictures"] >= min(pictures, ENOUGH):
                return EngineChoice.from_dict(one["choice"])
    return None


def keep_choice(run: Run, choice: EngineChoice, *, threads: int, pictures: int) -> Path:
    """Beside those for other batches; of other weights or versions none is kept. Raises StorageError."""
    path, about = record_of(run), _about(run, choice.batch, threads)
    same = {key: value for key, value in about.items() if key not in ("batch", "threads")}
    others = [
        one
        for one in _read(path)
        if one.get("about") != about and same.items() <= dict(one.get("about", {})).items() and "choice" in one
    ]
    kept = [*others, {"about": about, "pictures": min(pictures, ENOUGH), "choice": choice.to_dict()}]
    write_json(path, {"machine": describe_machine(), "choices": kept}, option=None)
    return path


def engine_versions() -> dict[str, str]:
    """Of everything that has to do with how fast a network runs; what is not installed is said to be."""
    found = installed_versions()
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _about(run: Run, batch: int, threads: int) -> dict[str, Any]:
    return {
        "weights_sha256": run.manifest.weights["sha256"],
        "versions": engine_versions(),
        "input_shape": list(run.input_shape[1:]),
        "batch": batch,
        "threads": threads,
    }


def _read(path: Path) -> list[dict[str, Any]]:
    """What stands in the file; nothing where it is missing or damaged."""
    try:
        choices = json.loads(path.read_text(encoding="utf-8"))["choices"]
        return [one for one in choices if isinstance(one, dict) and isinstance(one.get("about"), dict)]
    except (OSError, ValueError, KeyError, TypeError):
        return []
