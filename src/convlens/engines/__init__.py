"""Run a network fast: torch, ONNX Runtime, OpenVINO behind one contract; choose by measuring."""

from __future__ import annotations

from convlens.engines.engine import PRECISIONS, Engine, Settings
from convlens.engines.folding import Pair, foldable, folded
from convlens.engines.model import Model
from convlens.engines.open import ENGINES, check_engine, open_engine, open_with

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "Engine",
    "Model",
    "Pair",
    "Settings",
    "check_engine",
    "foldable",
    "folded",
    "open_engine",
    "open_with",
]
