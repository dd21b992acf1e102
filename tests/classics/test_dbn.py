"""The deep belief net: greedy layers, generation, fine-tuning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from convlens.classics import DBN, RBM, fine_tune
from convlens.errors import DataError, UsageError


@pytest.fixture(scope="module")
def labels() -> Tensor:
    return torch.from_numpy(load_digits().target)


@pytest.fixture(scope="module")
def net(digits: Tensor) -> DBN:
    return DBN(64, 100, 80).fit(digits[:1400], epochs=30, batch=20, seed=0)


def test_each_layer_is_an_rbm_of_what_the_layers_below_make_of_the_pictures(digits: Tensor) -> None:
    net = DBN(64, 20, 15, 10).fit(digits[:300], epochs=2, seed=5, k=2)
    first = RBM(64, 20).fit(digits[:300], epochs=2, seed=5, k=2)
    second = RBM(20, 15).fit(first.hidden_given(digits[:300]), epochs=2, seed=6, k=2)
    assert torch.equal(net.rbms[0].weights, first.weights) and torch.equal(net.rbms[1].weights, second.weights)
    assert net.features(digits[:7]).shape == (7, 10)
    assert net.samples(3, steps=2).shape == net.samples(3, steps=2, start=digits[:3]).shape == (3, 64)


def test_it_says_which_layer_it_learns(digits: Tensor) -> None:
    heard: list[tuple[str, int, int]] = []
    DBN(64, 5, 4).fit(digits[:100], epochs=2, progress=lambda *told: heard.append(told[:3]))
    assert heard == [(f"layer {layer} of 2", epoch, 2) for layer in (1, 2) for epoch in (1, 2)]


def test_the_unrolled_network_computes_the_features_and_shares_no_weights(net: DBN, digits: Tensor) -> None:
    network = net.unrolled(10)
    torch.testing.assert_close(network[:-1](digits[:50]), net.features(digits[:50]), atol=1e-6, rtol=0)
    assert (network(digits[:2]) == 0).all()  # the classifier has learned nothing yet
    before = [tensor.clone() for tensor in net.parameters()]
    fine_tune(network, digits[:100], torch.arange(100) % 10, epochs=2)
    assert all(torch.equal(now, then) for now, then in zip(net.parameters(), before, strict=True))
    assert isinstance(network[0], nn.Linear) and not torch.equal(network[0].weight.T, net.rbms[0].weights)


def test_fine_tuning_recognises_held_out_digits(digits: Tensor, labels: Tensor) -> None:
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
    seen, held_out = order[:1400], order[1400:]
    net = DBN(64, 100, 80).fit(digits[seen], epochs=15, batch=20)
    network = fine_tune(net.unrolled(10), digits[seen], labels[seen], epochs=15, batch=20, learning_rate=0.005)
    right = (network(digits[held_out]).argmax(1) == labels[held_out]).float().mean().item()
    assert right > 0.95


def test_what_it_dreams_looks_more_like_digits_than_noise_does(net: DBN, digits: Tensor) -> None:
    def nearest(pictures: Tensor) -> float:
        return torch.cdist(pictures, digits).amin(1).mean().item()

    dreams = net.samples(50, steps=200, seed=1)
    shuffled = digits[:50, torch.randperm(64, generator=torch.Generator().manual_seed(0))]
    assert dreams.shape == (50, 64) and ((dreams >= 0) & (dreams <= 1)).all()
    assert nearest(dreams) < 0.7 * nearest(shuffled)
    assert dreams.std(0).mean() > 0.1  # they are not all the same


def test_chains_that_begin_at_a_picture_stay_by_it_for_a_step(net: DBN, digits: Tensor) -> None:
    dreams = net.samples(20, steps=1, seed=1, start=digits[:20])
    distances = torch.cdist(dreams, digits[:20])
    assert (distances.argmin(1) == torch.arange(20)).float().mean() > 0.4  # by chance 0.05


def test_the_same_seed_learns_and_dreams_the_same(digits: Tensor, labels: Tensor) -> None:
    state = torch.get_rng_state()
    one, two = (DBN(64, 12, 8).fit(digits[:200], epochs=1, seed=2) for _ in range(2))
    assert torch.equal(one.samples(5, steps=3), two.samples(5, steps=3))
    tuned = [fine_tune(net.unrolled(10), digits[:200], labels[:200], epochs=1, seed=1) for net in (one, two)]
    assert all(torch.equal(a, b) for a, b in zip(tuned[0].parameters(), tuned[1].parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_net_of_no_layers_and_labels_that_do_not_fit_are_told(digits: Tensor, labels: Tensor) -> None:
    with pytest.raises(UsageError, match="a deep belief net of no hidden layer; expected sizes such as"):
        DBN(64)
    network = DBN(64, 5).unrolled(10)
    for other in (DBN(4, 3), torch.nn.Linear(4, 2), torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(4, 2))):
        with pytest.raises(UsageError, match=r"a \w+ came to be fine-tuned; expected a Sequential .*DBN\.unrolled"):
            fine_tune(other, torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64), epochs=1)  # type: ignore[arg-type]
    for wrong in (np.array(["a", "b"]), np.array(None), None):
        with pytest.raises(DataError, match=r"an array of .* came; expected real numbers"):
            fine_tune(DBN(4, 3).unrolled(2), torch.zeros(2, 4), wrong, epochs=1)  # type: ignore[arg-type]
    given = torch.rand(20, 4, generator=torch.Generator().manual_seed(0))
    for rate in (3e37, 1e38):
        with pytest.raises(DataError, match="Sequential diverged: its weights are no finite numbers any more"):
            fine_tune(DBN(4, 30).unrolled(2), given, np.arange(20) % 2, epochs=50, learning_rate=rate)
    with pytest.raises(UsageError, match=r"labels came as \(9,\) of torch.int64; expected \(10,\) whole numbers"):
        fine_tune(network, digits[:10], labels[:9], epochs=1)
    with pytest.raises(DataError, match="labels go from 3 to 12; expected 0 to 9"):
        fine_tune(network, digits[:2], torch.tensor([12, 3]), epochs=1)
