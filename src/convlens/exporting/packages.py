"""The optional packages: whether they are there, and OpenVINO without its telemetry."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from convlens.errors import MissingExtra

EXTRAS = {"onnx": "export", "onnxscript": "export", "onnxruntime": "export", "openvino": "fast", "optuna": "shrink"}
TELEMETRY = "openvino_telemetry"


def check_installed(*packages: str, purpose: str) -> None:
    """MissingExtra for the first that cannot be imported."""
    for package in packages:
        load(package, purpose)


def load(package: str, purpose: str, *, extra: str | None = None) -> Any:
    """The package; MissingExtra says how to install it, by `extra` where another than its own is wanted."""
    try:
        return _silent_openvino() if package == "openvino" else import_module(package)
    except Exception as error:  # a broken installation raises anything
        raise MissingExtra(package, extra or EXTRAS[package], purpose) from error


def _silent_openvino() -> Any:
    """Importing OpenVINO reports that to its makers, unless their package for it cannot be found: then it does not."""
    if sys.modules.get("openvino") is not None:
        return sys.modules["openvino"]
    found = sys.modules.get(TELEMETRY)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]
    try:
        return import_module("openvino")
    finally:
        del sys.modules[TELEMETRY]
        if found is not None:
            sys.modules[TELEMETRY] = found
