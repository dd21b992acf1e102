"""A deep belief net that saw labels: digits of the class that is asked for, and the class of a digit."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from convlens.classics import DBN, exact_log_partition, load, log_partition, save
from convlens.classics.labels import LabelledRBM
from convlens.errors import DataError, UsageError


@pytest.fixture(scope="module")
def labels() -> Tensor:
    return torch.from_numpy(load_digits().target)


@pytest.fixture(scope="module")
def net(digits: Tensor, labels: Tensor) -> DBN:
    options = {"epochs": 20, "batch": 10, "learning_rate": 0.1}
    return DBN(64, 200, 150, num_classes=10).fit(digits[:1400], labels[:1400], **options)


def a_top() -> LabelledRBM:
    """Of 3 units below, 2 classes and 4 hidden units, in float64."""
    top, draws = LabelledRBM(3, 2, 4).double(), torch.Generator().manual_seed(7)
    for parameter in top.parameters():
        parameter.data.normal_(0, 1, generator=draws)
    return top


def joint(top: LabelledRBM) -> dict[tuple[tuple[int, ...], int, tuple[int, ...]], float]:
    """The chance of every state (v, class, h), by its energy."""
    energies = {}
    for v, chosen, h in product(product((0, 1), repeat=3), range(2), product((0, 1), repeat=4)):
        visible = torch.tensor([*v, *(int(chosen == k) for k in range(2))], dtype=torch.float64)
        energies[v, chosen, h] = top.energy(visible, torch.tensor(h, dtype=torch.float64)).item()
    whole = sum(np.exp(-energy) for energy in energies.values())
    return {state: float(np.exp(-energy)) / whole for state, energy in energies.items()}


def test_its_chances_are_those_of_all_states_with_one_class_each() -> None:
    top = a_top()
    chances = joint(top)
    for v in product((0, 1), repeat=3):
        of_class = [sum(p for (x, k, _), p in chances.items() if x == v and k == one) for one in range(2)]
        given = top.classes_given(torch.tensor([v], dtype=torch.float64))[0]
        assert given.tolist() == pytest.approx([p / sum(of_class) for p in of_class])
    for h in product((0, 1), repeat=4):
        states = {(x, k): p for (x, k, y), p in chances.items() if y == h}
        given = top.visible_given(torch.tensor([h], dtype=torch.float64))[0].tolist()
        whole = sum(states.values())
        units = [sum(p for (x, _), p in states.items() if x[unit]) / whole for unit in range(3)]
        classes = [sum(p for (_, k), p in states.items() if k == one) / whole for one in range(2)]
        assert given == pytest.approx(units + classes)


def test_exactly_one_class_is_drawn_with_its_chance() -> None:
    chances = torch.tensor([[0.1, 0.9, 0.5, 0.2, 0.8]], dtype=torch.float64).expand(20_000, -1)
    drawn = a_top().drawn(chances, torch.Generator().manual_seed(0))
    assert (drawn[:, 3:].sum(1) == 1).all() and set(drawn.unique().tolist()) == {0, 1}
    assert drawn.mean(0).tolist() == pytest.approx(chances[0].tolist(), abs=0.015)


def test_at_the_beginning_classes_are_as_likely_as_they_are_frequent() -> None:
    frequent = torch.tensor([0] * 90 + [1] * 9 + [2])
    net = DBN(3, 2, num_classes=3).fit(torch.zeros(100, 3), frequent, epochs=1, learning_rate=0)
    assert net.rbms[-1].visible_given(torch.zeros(1, 2))[0, 3:].tolist() == pytest.approx([0.9, 0.09, 0.01], abs=1e-6)


def test_digits_are_drawn_of_the_class_that_is_asked_for(net: DBN, digits: Tensor, labels: Tensor) -> None:
    asked = torch.arange(200) % 10
    made = net.samples(asked, steps=100, seed=1)
    nearest = labels[torch.cdist(made, digits).argmin(1)]
    assert made.shape == (200, 64) and (nearest == asked).float().mean() > 0.65  # by chance 0.1
    assert made[asked == 3].std(0).mean() > 0.05  # not one picture for the class


def test_it_says_of_a_held_out_digit_which_class_it_is(net: DBN, digits: Tensor, labels: Tensor) -> None:
    chances = net.classes_given(digits[1400:])
    torch.testing.assert_close(chances.sum(1), torch.ones(len(chances)))
    assert (chances.argmax(1) == labels[1400:]).float().mean() > 0.8


def test_free_chains_go_over_the_classes(net: DBN, digits: Tensor) -> None:
    free = net.samples(100, steps=200, seed=2)
    assert free.shape == (100, 64) and len(net.classes_given(free).argmax(1).unique()) >= 5
    begun = net.samples(20, steps=1, start=digits[:20])
    assert (torch.cdist(begun, digits[:20]).argmin(1) == torch.arange(20)).float().mean() > 0.2  # by chance 0.05


def test_the_unrolled_network_computes_the_features_without_the_classes(net: DBN, digits: Tensor) -> None:
    network = net.unrolled(10)
    torch.testing.assert_close(network[:-1](digits[:50]), net.features(digits[:50]), atol=1e-6, rtol=0)


def test_a_saved_net_draws_the_same_digits(net: DBN, tmp_path: Path) -> None:
    save(net, tmp_path / "net.safetensors")
    again = load(tmp_path / "net.safetensors")
    assert isinstance(again, DBN) and again.sizes == net.sizes and again.num_classes == 10
    asked = np.arange(10)
    assert torch.equal(again.samples(asked, steps=5, seed=3), net.samples(asked, steps=5, seed=3))


def test_what_came_and_what_was_expected_is_said(net: DBN, digits: Tensor, labels: Tensor) -> None:
    with pytest.raises(UsageError, match="no labels came for 10 classes; give one label a picture"):
        net.fit(digits[:10], epochs=1)
    with pytest.raises(UsageError, match="labels came for 0 classes"):
        DBN(64, 5).fit(digits[:10], labels[:10], epochs=1)
    with pytest.raises(UsageError, match="labels came for 0 classes"):
        DBN(64, 5).samples(labels[:3])
    with pytest.raises(DataError, match="labels go from 10 to 10; expected 0 to 9"):
        net.samples(torch.tensor([10]))
    with pytest.raises(UsageError, match="start has 2 pictures, and 3 samples are asked for"):
        net.samples(labels[:3], start=digits[:2])
    with pytest.raises(UsageError, match="the net has no class units; make it with num_classes"):
        DBN(64, 5).classes_given(digits[:2])
    with pytest.raises(UsageError, match=r"num_classes is 2\.5, expected a whole number"):
        DBN(64, 5, num_classes=2.5)  # type: ignore[arg-type]
    for ask in (exact_log_partition, lambda rbm: log_partition(rbm, digits[:2])):
        with pytest.raises(UsageError, match="class units, of which one is 1 at a time"):
            ask(net.rbms[-1])
