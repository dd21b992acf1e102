"""A recording leaves the network as it was, and says what it cannot do."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convlens.arithmetic import record_values, take_apart
from convlens.errors import NetworkError, UsageError
from convlens.graph import trace
from tests.arithmetic.recomputed import picture


class Counting(nn.Module):
    """Counts its calls in a buffer and remembers what it saw, in evaluation mode too; `broken` fails."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.register_buffer("calls", torch.zeros(()))
        self.broken = broken

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen = x
        y = self.norm(self.conv(x))
        return y @ y if self.broken else y * self.calls


@pytest.mark.parametrize("broken", [False, True])
def test_the_network_is_as_it_was_also_after_an_error(broken: bool) -> None:
    model = Counting(broken=broken).train()
    before, attributes = copy.deepcopy(model.state_dict()), set(vars(model))
    image = picture(1, 1, 6, 5)
    kept = image.clone()
    if broken:
        with pytest.raises(NetworkError, match="Counting cannot run on"):
            record_values(model, image)
    else:
        assert record_values(model, image).value(-1).shape == (1, 1, 6, 5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert set(vars(model)) == attributes and model.training and model.norm.training
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    assert torch.equal(image, kept) and all(parameter.requires_grad for parameter in model.parameters())


def test_values_are_those_of_evaluation_mode() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5)).train()
    image = picture(1, 1, 6, 6)
    recording = record_values(model, image)
    with torch.no_grad():
        expected = copy.deepcopy(model).eval()(image)
    assert np.array_equal(recording.value(recording.graph.output_nodes[0]), expected.numpy())


def test_a_network_whose_way_hangs_on_the_numbers_is_told() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.relu() if x.sum() > 0 else x.tanh()

    positive = torch.ones(1, 1, 2, 2)
    graph = trace(Branching(), positive)
    assert record_values(Branching(), positive, graph=graph).value(graph.output_nodes[0]).sum() == 4
    with pytest.raises(NetworkError, match="its trace has"):
        record_values(Branching(), -positive, graph=graph)
    assert record_values(Branching(), -positive).value(-1).sum() == -4


def test_weights_that_changed_since_are_told() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3))
    recording = record_values(model, picture(1, 6, 6))
    take_apart(recording, 0, (0, 1, 1))
    with torch.no_grad():
        model[0].weight.mul_(2)
    with pytest.raises(UsageError, match="record it anew"):
        take_apart(recording, 0, (0, 1, 1))


@pytest.mark.parametrize(
    ("node", "position", "words"),
    [
        (7, (0,), "the nodes -1 .* to 1"),
        (0, (0, 9, 0), "outside '0'"),
        (0, (0, 0), "expected 3 whole numbers"),
        (0, (0, -1, 0), "outside"),
        ("head", (0,), "expected its number"),
        ("probabilities", (5,), "2 classes|need logits"),
    ],
)
def test_a_unit_that_is_not_there_is_an_error_of_use(node: int | str, position: tuple[int, ...], words: str) -> None:
    recording = record_values(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), picture(1, 6, 6))
    with pytest.raises((UsageError, NetworkError), match=words):
        take_apart(recording, node, position)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.zeros(2, 1, 6, 6), "expected one picture"),
        (torch.zeros(1, 6, 6, dtype=torch.uint8), "expected a float tensor"),
        (np.zeros((1, 6, 6)), "ndarray"),
    ],
)
def test_what_is_no_picture_is_told(image: Tensor, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        record_values(nn.Conv2d(1, 2, 3), image)


def test_other_values_go_through_the_rest_of_the_network() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Flatten())
    recording = record_values(model, picture(1, 1, 4, 4))
    again = recording.with_values({0: np.full((1, 2, 2, 2), -3.0, np.float32)})
    assert again.value(0).max() == -3 and not again.value(2).any()
    assert recording.value(2).any() and again.value(2).shape == (1, 8)


def test_layers_have_names_that_no_other_has() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, padding=1)
            self.same = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.conv(torch.relu(self.conv(x))) + self.same(x)) + self.same(x)

    recording = record_values(Twice(), picture(1, 1, 4, 4))
    assert list(recording.layers.values()) == ["picture", "conv:1", "conv", "relu", "add", "relu:2", "add:2"]
    assert recording.size_bytes == 7 * 64


class Tokens(nn.Module):
    """A linear layer over places whose numbers do not lie side by side; tied to a second one."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.head = nn.Linear(8, 8), nn.Linear(8, 4)
        self.again = nn.Linear(8, 8)
        self.again.weight = self.mix.weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.again(self.mix(images.flatten(2).transpose(1, 2))).mean(1))


@pytest.mark.parametrize("frozen", [True, False])
def test_weights_that_learn_are_multiplied_as_in_the_trace(frozen: bool) -> None:
    network, image = Tokens().requires_grad_(not frozen), torch.randn(1, 8, 3, 3)
    recording = record_values(network, image)
    torch.testing.assert_close(recording.made[-1][0], network(image).detach())
