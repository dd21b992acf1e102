"""Weights that share few values: Deep Compression (Han, Mao and Dally, 2016), https://arxiv.org/abs/1510.00149.

Section 2: small weights become zero. Section 3.1 and 3.2: the others of a layer are clustered by k-means, its
centroids at first spread evenly from the smallest to the largest, which the paper found best; a convolution has 2^8 of
them, a dense layer 2^5. Section 3.3: then only the centroids learn, the gradient of each being the sum over its
weights. `storage.pack` stores them in few bytes.
Departures: the paper prunes and retrains in turns, with a threshold for each layer chosen by its sensitivity; here the
threshold is one number of standard deviations for all layers, that which gives the wanted share of zeros. Biases and
norms are left alone. Networks stay as large in memory and as fast as they were: only the file shrinks.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

from convlens.errors import NetworkError, UsageError
from convlens.layers.computed_weights import check_stored_weights
from convlens.layers.fake_quantised import check_unrounded
from convlens.shrinking.tuning import Batches, tune

CONVOLUTION_BITS, DENSE_BITS = 8, 5  # section 5 of the paper
ROUNDS = 100  # of k-means at most; 1,000 make clusters more even, and of a SqueezeNet of 5 bits 715 kB instead of 666
MOST_BITS = 12
Layer = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear


def cluster_weights(
    network: nn.Module, *, convolution_bits: int = CONVOLUTION_BITS, dense_bits: int = DENSE_BITS
) -> nn.Module:
    """A copy of the network, each layer's weights replaced by at most 2^bits shared values; zeros stay zero.

    NetworkError where a layer computes its weights from other parameters.
    """
    for bits in (convolution_bits, dense_bits):
        check_cluster_bits(bits)
    check_unrounded(network, "clustered")
    check_stored_weights(network, "clustered")
    clustered = copy.deepcopy(network)
    with torch.no_grad():
        for layer in _layers(clustered):
            bits = dense_bits if isinstance(layer, nn.Linear) else convolution_bits
            weight = layer.weight.detach().cpu().numpy()
            layer.weight.copy_(torch.from_numpy(_shared(weight, 2**bits)))
    return clustered


def check_cluster_bits(bits: int) -> None:
    if not 1 <= bits <= MOST_BITS:
        raise UsageError(f"{bits} bits came for the clusters of a layer; expected 1 to {MOST_BITS}")


def check_sparsity(sparsity: float) -> None:
    if not 0 <= sparsity < 1:
        raise UsageError(f"a sparsity of {sparsity:g} came; expected a share of the weights, from 0 to below 1")


def prune_weights(network: nn.Module, sparsity: float) -> nn.Module:
    """A copy of the network in which this share of all weights, 0 to 1, is zero: the smallest, measured in
    standard deviations of their layer. NetworkError where a layer computes its weights from other parameters."""
    check_sparsity(sparsity)
    check_unrounded(network, "set to zero")
    check_stored_weights(network, "set to zero")
    pruned = copy.deepcopy(network)
    with torch.no_grad():
        weights = [layer.weight for layer in _layers(pruned)]
        sizes = [weight.abs() / weight.std().clamp_min(1e-12) for weight in weights]
        ranked = torch.cat([size.flatten() for size in sizes])
        smallest = round(sparsity * len(ranked))
        if smallest:
            threshold = ranked.kthvalue(smallest).values
            for weight, size in zip(weights, sizes, strict=True):
                weight[size <= threshold] = 0
    return pruned


def tune_centroids(
    network: nn.Module,
    batches: Batches,
    *,
    epochs: int = 1,
    learning_rate: float = 1e-4,
) -> nn.Module:
    """A copy of a clustered network whose shared values have learnt (section 3.3); which weights share stays.

    Zeros stay zero; biases and norms learn along, by `tune`. NetworkError where a weight is computed from other
    parameters, or is shared with what is no convolution and no dense layer.
    """
    check_unrounded(network, "tuned")
    check_stored_weights(network, "tuned")
    _check_holders(network)
    tuned = copy.deepcopy(network)
    layers: dict[int, list[Layer]] = {}  # by their weight, which several may hold
    for layer in _layers(tuned):
        layers.setdefault(id(layer.weight), []).append(layer)
    following: list[RemovableHandle] = []
    for first, *others in layers.values():
        parametrize.register_parametrization(first, "weight", Shared(first.weight.detach()), unsafe=True)
        for other in others:
            following.append(_follow(first, other))
    tune(tuned, batches, epochs=epochs, learning_rate=learning_rate)
    for hook in following:
        hook.remove()
    for first, *others in layers.values():
        parametrize.remove_parametrizations(first, "weight")
        for other in others:
            del other.weight
            other.weight = first.weight
    return tuned


def _check_holders(network: nn.Module) -> None:
    weights = {id(layer.weight) for layer in _layers(network)}
    for path, module in network.named_modules():
        for name, parameter in module._parameters.items():
            if id(parameter) in weights and not (name == "weight" and isinstance(module, Layer)):
                held = f"{path}.{name}" if path else name
                raise NetworkError(
                    f"'{held}' of {type(network).__name__} is also the weight of a convolution or dense layer, so that "
                    "its shared values cannot learn; cluster it without epochs"
                )


def _follow(first: Layer, other: Layer) -> RemovableHandle:
    """A layer that had the same weight reads what the first one computes, at each call."""
    del other.weight
    return other.register_forward_pre_hook(lambda layer, _: setattr(layer, "weight", first.weight))


class Shared(nn.Module):
    """Centroids (K,) -> the weights that share them; autograd adds up the gradients of a cluster (equation 3)."""

    places: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        _, places = torch.unique(torch.cat([weight.new_zeros(1), weight.flatten()]), return_inverse=True)
        self.zero, self.shape = int(places[0]), weight.shape
        self.register_buffer("places", places[1:])

    def forward(self, centroids: Tensor) -> Tensor:
        before, after = centroids[: self.zero], centroids[self.zero :]
        return torch.cat([before, centroids.new_zeros(1), after])[self.places].view(self.shape)

    def right_inverse(self, weight: Tensor) -> Tensor:
        values = torch.unique(torch.cat([weight.new_zeros(1), weight.flatten()]))
        return values[values != 0]


def _layers(network: nn.Module) -> Iterator[Layer]:
    return (module for module in network.modules() if isinstance(module, Layer))


def _shared(weight: np.ndarray, num_clusters: int) -> np.ndarray:
    """The same shape, each value but zero replaced by its centroid."""
    kept = weight != 0
    shared = np.zeros_like(weight)
    if kept.any():
        shared[kept] = nearest_centroids(weight[kept], num_clusters)
    return shared


def nearest_centroids(values: np.ndarray, num_clusters: int) -> np.ndarray:
    """k-means of numbers, (N,) -> (N,): Lloyd's rounds until no number changes its centroid, or 100 of them."""
    ordered = np.sort(values.astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centroids = np.linspace(ordered[0], ordered[-1], num_clusters)
    edges = np.zeros(0)
    for _ in range(ROUNDS):
        middles = (centroids[1:] + centroids[:-1]) / 2
        found = np.concatenate([[0], np.searchsorted(ordered, middles), [len(ordered)]])
        if np.array_equal(found, edges):
            break
        edges, counts = found, np.diff(found)
        filled = counts > 0  # an empty cluster stays where it is
        centroids[filled] = np.diff(sums[edges])[filled] / counts[filled]
    middles = (centroids[1:] + centroids[:-1]) / 2
    return centroids.astype(values.dtype)[np.searchsorted(middles, values)]
