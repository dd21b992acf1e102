"""A stem that learns no more."""

from __future__ import annotations

import os
import signal
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from convlens.errors import Stopped, UsageError
from convlens.training import Recipe, Setting, make_plan
from convlens.zoo import create


class Stemmed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.stem(images))


def weights_after_each_step(made) -> list[dict[str, Tensor]]:
    seen = []

    def keep(phase, done, total, detail):
        if phase == "train":
            seen.append({name: value.clone() for name, value in made.network.named_parameters()})

    made.run(progress=keep)
    return seen


@pytest.mark.parametrize("more", [{}, {"optimiser": "sgd"}, {"lookahead": 0.5, "weight_decay": 0.1}, {"l1": 1e-3}])
def test_the_stem_learns_until_its_share_and_the_rest_to_the_end(training, more):
    seen = weights_after_each_step(training(12, network=Stemmed(), freeze_stem=0.5, schedule="linear", **more))
    moves = [[not torch.equal(before[name], after[name]) for name in after] for before, after in pairwise(seen)]
    names = list(seen[0])
    for step, moved in enumerate(moves, 2):
        assert dict(zip(names, moved, strict=True)) == {n: step <= 6 or n.startswith("head") for n in names}, step


def test_running_statistics_of_a_frozen_stem_go_on(training):
    made = training(12, network=Stemmed(), freeze_stem=0.1)
    made.run()
    assert int(made.network.stem[1].num_batches_tracked) == 12


@pytest.mark.parametrize("more", [{}, {"lookahead": 0.5}, {"ema": 0.9, "optimiser": "muon"}])
@pytest.mark.parametrize("stop_at", [3, 6, 9])
def test_a_stopped_training_goes_on_to_the_same_weights(training, stop_at, more):
    def asked(name):
        return training(12, name, network=Stemmed(), freeze_stem=0.5, **more)

    whole, first, second = asked("whole"), asked("stopped"), asked("stopped")
    whole.run()
    with pytest.raises(Stopped):
        first.run(progress=lambda _, done, *__: os.kill(os.getpid(), signal.SIGINT) if done == stop_at else None)
    second.resume()
    second.run()
    for name, value in whole.judged.state_dict().items():
        assert torch.equal(second.judged.state_dict()[name], value), name


def test_what_was_trained_before_can_be_trained_again(training):
    made = training(12, network=Stemmed(), freeze_stem=0.5)
    made.network.head[1].bias.requires_grad_(False)
    before = {name: p.requires_grad for name, p in made.network.named_parameters()}
    made.run()
    assert {name: p.requires_grad for name, p in made.network.named_parameters()} == before


def test_a_network_that_is_all_stem_is_refused():
    network = Stemmed()
    network.stem, network.head = nn.Sequential(network.stem, network.head), nn.Identity()
    with pytest.raises(UsageError, match="nothing but the stem is trained"):
        make_plan(network, None, Recipe(freeze_stem=0.5), Setting(10))


@pytest.mark.parametrize("network", [nn.Flatten(), create("lenet5")])
def test_a_network_without_a_stem_is_refused(network):
    with pytest.raises(UsageError, match="has no stem with parameters that are trained"):
        make_plan(network, None, Recipe(freeze_stem=0.5), Setting(10))
