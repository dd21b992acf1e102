"""A network or a run -> a smaller one. Channels are removed here; what goes together is read off the graph."""

from __future__ import annotations

from convlens.shrinking.importance import IMPORTANCES, importance_of
from convlens.shrinking.pruning import SPREADS, TARGETS, PrunedResult, prune

__all__ = ["IMPORTANCES", "SPREADS", "TARGETS", "PrunedResult", "importance_of", "prune"]
