"""A run or a network -> a smaller one: its weights shared by clusters."""

from __future__ import annotations

from convlens.shrinking.clustering import cluster_weights, prune_weights, tune_centroids

__all__ = ["cluster_weights", "prune_weights", "tune_centroids"]
