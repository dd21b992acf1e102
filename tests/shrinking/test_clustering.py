"""Deep Compression: shared weights, zeros that stay, centroids that learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from convlens.errors import NetworkError, UsageError
from convlens.runs import Run
from convlens.shrinking import cluster_weights, prune, prune_weights, quantise, tune_centroids
from convlens.shrinking.clustering import Shared, nearest_centroids


def network() -> nn.Sequential:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(16)
    return nn.Sequential(nn.Conv2d(1, 16, 5), norm, nn.ReLU(), nn.Conv2d(16, 32, 3), nn.Flatten(), nn.Linear(512, 10))


def distinct(weight: Tensor) -> int:
    return len(weight.unique())


def test_a_layer_has_at_most_two_to_the_bits_values_and_all_else_is_as_it_was() -> None:
    before = network()
    after = cluster_weights(before, convolution_bits=6, dense_bits=4)
    assert [distinct(after[place].weight) for place in (0, 3)] == [pytest.approx(60, abs=4)] * 2
    assert 12 <= distinct(after[5].weight) <= 16
    weights = {f"{place}.weight" for place in (0, 3, 5)}
    for name, tensor in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], tensor) or name in weights
    assert distinct(before[5].weight) > 5000


@pytest.mark.parametrize("norm", [weight_norm, spectral_norm])
@pytest.mark.parametrize("change", [cluster_weights, lambda network: prune_weights(network, 0.5)])
def test_weights_that_are_computed_at_each_call_are_refused(change: Callable, norm: Callable) -> None:
    normed = nn.Sequential(nn.Flatten(), norm(nn.Linear(16, 4)))
    with pytest.raises(
        NetworkError, match=r"^the weight of '1' of Sequential is computed from other parameters .*norm"
    ):
        change(normed)


def test_k_means_finds_the_best_division_into_two() -> None:
    """All divisions of a sorted row are tried."""
    values = np.array([0.0, 0.1, 0.3, 2.0, 2.2, 2.9, 3.0])
    found = nearest_centroids(values, 2)

    def error(place: int) -> float:
        return sum(float(((part - part.mean()) ** 2).sum()) for part in (values[:place], values[place:]))

    best = min(range(1, len(values)), key=error)
    np.testing.assert_allclose(found, np.r_[[values[:best].mean()] * best, [values[best:].mean()] * (7 - best)])


def test_every_weight_takes_its_nearest_centroid_which_is_about_the_mean_of_its_weights() -> None:
    values = np.random.default_rng(0).normal(size=5000)
    found = nearest_centroids(values, 16)
    centroids = np.unique(found)
    assert len(centroids) == 16
    np.testing.assert_allclose(found, centroids[np.abs(values[:, None] - centroids).argmin(1)])
    for centroid in centroids:
        assert values[found == centroid].mean() == pytest.approx(centroid, abs=5e-3)


def test_fewer_weights_than_clusters_keep_their_values() -> None:
    values = np.array([0.5, -1.0, 2.0])
    np.testing.assert_allclose(nearest_centroids(values, 256), values, atol=0.01)
    np.testing.assert_array_equal(nearest_centroids(np.full(9, 0.25), 4), np.full(9, 0.25))


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9])
def test_the_wanted_share_of_weights_becomes_zero_the_smallest_of_each_layer_first(sparsity: float) -> None:
    before, after = network(), prune_weights(network(), sparsity)
    pairs = [(before[place].weight.detach(), after[place].weight.detach()) for place in (0, 3, 5)]
    total = sum(weight.numel() for weight, _ in pairs)
    assert sum(int((pruned == 0).sum()) for _, pruned in pairs) == round(sparsity * total)
    thresholds = []
    for weight, pruned in pairs:
        gone, kept = weight[pruned == 0].abs(), weight[pruned != 0].abs()
        assert not len(gone) or gone.max() <= kept.min()
        thresholds.append(float(kept.min() / weight.std()))
    assert sparsity == 0 or thresholds == pytest.approx([thresholds[0]] * 3, rel=0.1)


def test_zeros_stay_zero_through_clustering_and_learning() -> None:
    pruned = prune_weights(network(), 0.6)
    clustered = cluster_weights(pruned)
    tuned = tune_centroids(clustered, lambda: [(torch.rand(8, 1, 10, 10), torch.arange(8))], learning_rate=0.01)
    for place in (0, 3, 5):
        zero = pruned[place].weight == 0
        assert torch.equal(clustered[place].weight == 0, zero) and torch.equal(tuned[place].weight == 0, zero)
        assert not torch.equal(clustered[place].weight, tuned[place].weight)


def test_the_gradient_of_a_centroid_is_the_sum_over_its_weights() -> None:
    """Equation 3 of the paper, on a layer with a zero among its values."""
    torch.manual_seed(0)
    layer = nn.Linear(4, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-1.0, 0, 2, 2], [2, -1, 0, 0.5], [0.5, 0.5, -1, 2]]))
    x, label = torch.rand(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    functional.cross_entropy(layer(x), label).backward()
    gradient, weight = layer.weight.grad, layer.weight.detach().clone()
    assert gradient is not None
    layer.weight.grad = None
    parametrize.register_parametrization(layer, "weight", Shared(weight), unsafe=True)
    functional.cross_entropy(layer(x), label).backward()
    centroids = layer.parametrizations.weight.original  # type: ignore[union-attr]
    assert centroids.tolist() == [-1.0, 0.5, 2.0]
    expected = torch.stack([gradient[weight == value].sum() for value in (-1.0, 0.5, 2.0)])
    torch.testing.assert_close(centroids.grad, expected)


def test_learning_moves_weights_together_and_gives_a_plain_network_back() -> None:
    before = cluster_weights(network(), convolution_bits=3, dense_bits=3)
    after = tune_centroids(before, lambda: [(torch.rand(8, 1, 10, 10), torch.arange(8))], epochs=2, learning_rate=0.01)
    assert after.state_dict().keys() == before.state_dict().keys()
    for place in (0, 3, 5):
        old, new = before[place].weight, after[place].weight
        for value in old.unique():
            assert distinct(new[old == value]) == 1
    assert torch.equal(after[1].running_mean, before[1].running_mean)  # type: ignore[arg-type]


def test_layers_of_one_weight_learn_together() -> None:
    torch.manual_seed(0)
    tied = nn.Sequential(nn.Flatten(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))
    tied[3].weight = tied[1].weight
    before = cluster_weights(tied, dense_bits=2)
    after = tune_centroids(before, lambda: [(torch.rand(8, 1, 4, 4), torch.arange(8))], epochs=2, learning_rate=0.01)
    assert after[3].weight is after[1].weight
    assert distinct(after[1].weight) == distinct(before[1].weight) <= 4
    assert not torch.equal(after[1].weight, before[1].weight)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Conv2d(1, 8, 3), nn.ConvTranspose2d(8, 1, 3)
        self.prototypes, self.head = nn.Parameter(torch.rand(4, 8)), nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        codes = self.encoder(images).relu()
        return self.head(codes.mean((2, 3))) + self.decoder(codes).mean() + self.prototypes.sum(1)


@pytest.mark.parametrize(("layer", "holder", "held"), [("encoder", "decoder", "weight"), ("head", "", "prototypes")])
def test_a_weight_that_something_else_holds_too_is_clustered_and_refused_to_learn(
    layer: str, holder: str, held: str
) -> None:
    tied = Tied()
    tied.get_submodule(layer).weight = getattr(tied.get_submodule(holder), held)
    clustered = cluster_weights(tied, convolution_bits=2, dense_bits=2)
    assert distinct(clustered.get_submodule(layer).weight) <= 4
    name = f"{holder}.{held}".strip(".")
    with pytest.raises(NetworkError, match=f"^'{name}' of Tied is also the weight of .*; cluster it without epochs$"):
        tune_centroids(clustered, lambda: [(torch.rand(4, 1, 6, 6), torch.arange(4))])


@pytest.mark.parametrize(
    ("change", "verb"),
    [
        (cluster_weights, "clustered"),
        (lambda rounding: prune_weights(rounding, 0.5), "set to zero"),
        (lambda rounding: tune_centroids(rounding, list), "tuned"),
        (lambda rounding: prune(rounding, (1, 1, 10, 10)), "pruned"),
    ],
)
def test_a_network_that_rounds_is_refused(change: Callable, verb: str) -> None:
    rounding = quantise(network(), [torch.rand(4, 1, 10, 10)], method="minmax")
    with pytest.raises(NetworkError, match=f"^Sequential rounds to 8 bits, and so cannot be {verb}; .*float network"):
        change(rounding)


@pytest.mark.parametrize("bits", [0, 13])
def test_bits_and_sparsities_that_cannot_be_are_refused(bits: int) -> None:
    with pytest.raises(UsageError, match=f"{bits} bits came for the clusters of a layer; expected 1 to 12"):
        cluster_weights(network(), dense_bits=bits)
    with pytest.raises(UsageError, match="a sparsity of 1 came"):
        prune_weights(network(), 1.0)


def test_two_bits_lose_digits_and_learning_brings_them_back(trained_run: Path) -> None:
    from convlens.data import open_images

    run, digits = Run.load(trained_run), open_images("digits")
    assert run.splits is not None

    def part(name: str) -> tuple[Tensor, Tensor]:
        rows = run.splits.indices(name)  # type: ignore[union-attr]
        images = run.preprocess([digits.reader.read(int(row)) for row in rows])
        return images, torch.tensor(digits.labels[rows])

    train, (images, labels) = part("train"), part("val")

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        yield from zip(train[0].split(64), train[1].split(64), strict=True)

    def accuracy(model: nn.Module) -> float:
        with torch.inference_mode():
            return float((model(images).argmax(1) == labels).float().mean())

    rough = cluster_weights(run.model, convolution_bits=2, dense_bits=2)
    tuned = tune_centroids(rough, batches, epochs=10, learning_rate=3e-3)
    assert accuracy(rough) + 0.05 < accuracy(tuned)
    assert accuracy(tuned) > accuracy(run.model) - 0.05
