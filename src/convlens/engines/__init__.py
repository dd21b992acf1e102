"""Run a network fast: torch, ONNX Runtime, OpenVINO behind one contract; choose by measuring."""

from __future__ import annotations

from convlens.engines.agreement import BOUNDS, LEAST_PICTURES, LEAST_TOP1, Agreement, agreement_on, bound_for
from convlens.engines.choose import BUDGET_S, MOST_PICTURES, Candidate, EngineChoice, candidates_for, choose_engine
from convlens.engines.engine import PRECISIONS, Engine, Settings
from convlens.engines.folding import Pair, foldable, folded
from convlens.engines.model import Model
from convlens.engines.open import ENGINES, PLAIN, check_engine, open_engine, open_with

__all__ = [
    "BOUNDS",
    "BUDGET_S",
    "ENGINES",
    "LEAST_PICTURES",
    "LEAST_TOP1",
    "MOST_PICTURES",
    "PLAIN",
    "PRECISIONS",
    "Agreement",
    "Candidate",
    "Engine",
    "EngineChoice",
    "Model",
    "Pair",
    "Settings",
    "agreement_on",
    "bound_for",
    "candidates_for",
    "check_engine",
    "choose_engine",
    "foldable",
    "folded",
    "open_engine",
    "open_with",
]
