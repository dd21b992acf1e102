"""A run or a network -> a smaller one: weights shared by clusters, arithmetic in 8 bits."""

from __future__ import annotations

from convlens.shrinking.clustering import cluster_weights, prune_weights, tune_centroids
from convlens.shrinking.quantisation import quantise, train_quantised

__all__ = ["cluster_weights", "prune_weights", "quantise", "train_quantised", "tune_centroids"]
