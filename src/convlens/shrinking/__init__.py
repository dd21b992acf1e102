"""A network or a run -> a smaller one: channels removed, weights shared by clusters, arithmetic in 8 bits."""

from __future__ import annotations

from convlens.shrinking.clustering import cluster_weights, prune_weights, tune_centroids
from convlens.shrinking.importance import IMPORTANCES, importance_of
from convlens.shrinking.pruning import SPREADS, TARGETS, PrunedResult, prune
from convlens.shrinking.quantisation import quantise, train_quantised
from convlens.shrinking.tuning import Batches

__all__ = [
    "IMPORTANCES",
    "SPREADS",
    "TARGETS",
    "Batches",
    "PrunedResult",
    "cluster_weights",
    "importance_of",
    "prune",
    "prune_weights",
    "quantise",
    "train_quantised",
    "tune_centroids",
]
