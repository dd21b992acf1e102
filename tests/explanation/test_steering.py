"""What is known of a network is asked anew where something that steers it has changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from convlens.errors import ExplanationError
from convlens.explanation import check_method, explain, feature_maps_picture, memory
from convlens.explanation.steering import steering
from convlens.graph import trace

IMAGES = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))


class Switched(nn.Module):
    def __init__(self, held: Any, read: Callable[[Any], bool]) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 3)
        if isinstance(held, Tensor):
            self.register_buffer("held", held)
        else:
            self.held = held
        self.read = read

    def forward(self, images: Tensor) -> Tensor:
        maps = self.first(images).relu()
        maps = self.second(maps).relu() if self.read(self.held) else maps
        return self.head(maps.mean((2, 3)))


def replaced(network: Any) -> None:
    network.held = lambda: True


def off() -> bool:
    return False


SWITCHES: dict[str, tuple[Any, Callable[[Any], bool], Callable[[Any], None]]] = {
    "a buffer": (torch.tensor(False), bool, lambda network: network.held.fill_(True)),
    "a dict": ({"deep": False}, lambda held: held["deep"], lambda network: network.held.update(deep=True)),
    "a list": ([], bool, lambda network: network.held.append(1)),
    "an object": (SimpleNamespace(on=0), lambda held: held.on, lambda network: vars(network.held).update(on=1)),
    "a function": (off, lambda held: held(), replaced),
    "a partial": (partial(bool, 0), lambda held: held(), lambda network: vars(network).update(held=partial(bool, 1))),
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_is_seen_wherever_it_is(switch: str) -> None:
    held, read, change = SWITCHES[switch]
    network = Switched(held, read)
    assert explain(network, IMAGES).layer == "first"
    change(network)
    assert explain(network, IMAGES).layer == "second"


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_a_hook_that_came_or_went_is_seen(register: str) -> None:
    network = Switched(None, lambda held: True)
    expected = explain(network, IMAGES).maps
    hook = getattr(network.second, register)(lambda layer, given, *made: (made or given)[0] + torch.randn(()))
    with pytest.raises(ExplanationError, match="draws at random"):
        explain(network, IMAGES)
    hook.remove()
    assert (explain(network, IMAGES).maps == expected).all()
    getattr(network.second, register)(lambda *given: given[-1][0].clone() if register.endswith("pre_hook") else None)
    check_method("grad_cam", network, IMAGES.repeat(2, 1, 1, 1))


class Following(Switched):
    """Its switch follows its mode."""

    def train(self, mode: bool = True) -> Following:
        self.held = mode
        return super().train(mode)


def test_what_is_known_of_a_network_is_of_its_evaluation_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(memory, "trace", lambda model, images: asked.append(model.held) or trace(model, images))
    network = Following(True, bool).train()
    for _ in range(2):
        assert explain(network, IMAGES).layer == "first"
    feature_maps_picture(network, IMAGES)
    assert asked == [False] and network.held


def test_training_changes_nothing_that_steers() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2))
    network(IMAGES)
    before = steering(network)
    network(IMAGES).sum().backward()
    assert steering(network) == before
