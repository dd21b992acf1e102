"""The randomisation check passes methods that look at the weights and fails those that look only at the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convlens.errors import ExplanationError
from convlens.explanation import Method, Question, SanityCheck, explain, randomisation_check, sanity_check
from convlens.explanation.contract import difference, network_state
from convlens.explanation.randomisation import weighted_layers
from convlens.explanation.similarity import overlap_of_strongest, rank_correlation


def edges(question: Question) -> Tensor:
    """An edge detector: looks like an explanation, knows nothing of the network."""
    question.target.score(question.model(question.images))
    grey = question.images.mean(1, keepdim=True)
    kernel = torch.tensor([[[[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]]]])
    return F.conv2d(grey, kernel, padding=1)[:, 0].abs()


EDGES = Method("edges", edges, title="Edges", sign="0 and up", source="no method at all")


@pytest.mark.parametrize(("method", "layer"), [("saliency", None), ("grad_cam", "3")])
def test_maps_of_the_network_pass(method: str, layer: str | None, digits: tuple[nn.Module, Tensor]) -> None:
    model, images = digits
    check = randomisation_check(model, images, method=method, layer=layer)
    assert check.passed, check
    assert check.reason.startswith("with random weights the maps are different ones (rank correlation")
    assert [stage.layer for stage in check.stages] == ["7", "3", "0"]
    assert (check.num_pictures, check.num_draws) == (16, 2)


def test_single_pictures_do_not_fail_by_chance(digits: tuple[nn.Module, Tensor]) -> None:
    """The maps of the last convolution are 8 x 8 here: with one draw, every sixth picture failed."""
    model, images = digits
    checks = [randomisation_check(model, image[None], layer="3") for image in images]
    assert sum(not check.passed for check in checks) <= 1
    assert {check.num_draws for check in checks} == {8}


def test_an_edge_detector_fails(digits: tuple[nn.Module, Tensor]) -> None:
    check = randomisation_check(*digits, method=EDGES)
    assert not check.passed
    assert "show the picture, not the network" in check.reason
    assert check.stages[-1].rank_correlation == pytest.approx(1) and check.stages[-1].overlap == 1


def test_the_check_is_reproducible_and_leaves_the_network_alone(digits: tuple[nn.Module, Tensor]) -> None:
    model, images = digits
    before, state = network_state(model), torch.get_rng_state()
    first = randomisation_check(model, images, method="saliency", check_seed=5)
    assert first == randomisation_check(model, images, method="saliency", check_seed=5)
    assert first.stages != randomisation_check(model, images, method="saliency", check_seed=6).stages
    assert difference(before, network_state(model)) == ""
    assert torch.equal(state, torch.get_rng_state())


def test_flat_maps_leave_nothing_to_compare(digits: tuple[nn.Module, Tensor]) -> None:
    flat = Method("flat", lambda q: (q.target.score(q.model(q.images)), q.images[:, 0] * 0)[1], "Flat", "", "")
    check = randomisation_check(*digits, method=flat)
    assert not check.passed and check.reason == "the maps are the same everywhere, so there is nothing to compare"


def test_the_cascade_begins_at_the_logits_and_is_thinned(residual: nn.Module, images: Tensor) -> None:
    names = [name for name, _ in weighted_layers(residual, images)]
    assert names == ["stem.0", "stem.1", "stages.0.conv", "stages.0.norm", "stages.2.conv", "stages.2.norm", "head.3"]
    check = randomisation_check(residual, images, method="saliency")
    assert [(s.layer, s.num_layers) for s in check.stages] == [
        ("head.3", 1), ("stages.2.norm", 2), ("stages.0.norm", 4), ("stem.1", 6), ("stem.0", 7),
    ]  # fmt: skip
    assert (check.num_pictures, check.num_draws) == (3, 6)


def test_the_classes_of_the_network_as_it_is_are_explained_throughout(residual: nn.Module, images: Tensor) -> None:
    asked = set()

    def spy(question: Question) -> Tensor:
        question.target.score(question.model(question.images))
        assert question.target.classes is not None
        asked.add(tuple(question.target.classes.tolist()))
        return question.images[:, 0]

    randomisation_check(residual, images, method=Method("spy", spy, "", "", ""))
    assert asked == {explain(residual, images, method="saliency").targets}


def test_a_network_without_weights_is_refused(images: Tensor) -> None:
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ExplanationError, match="no weights"):
        randomisation_check(model, images, method=EDGES)


class Growing(nn.Module):
    """Its logits are small, and overflow with other weights of the same mean and deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dense, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 4), nn.Linear(4, 4)
        with torch.no_grad():
            self.dense.weight.mul_(0.01)
            self.dense.bias.copy_(torch.tensor([-60.0, 0, 0, 0]))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.exp(40 * self.dense(self.conv(images).relu().mean((2, 3)))))


class Functional(nn.Module):
    """Its weights are buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernels", torch.randn(5, 3, 3, 3))

    def forward(self, images: Tensor) -> Tensor:
        return torch.conv2d(images, self.kernels).relu().mean((2, 3))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            Growing,
            "a copy whose layers are drawn anew, from the logits down to '.*', has no map, though the network has",
        ),
        (Functional, "this network has no weights"),
    ],
)
def test_where_randomisation_cannot_be_asked_the_other_checks_go_on(
    network: type[nn.Module], message: str, images: Tensor
) -> None:
    torch.manual_seed(0)
    model = network().eval()
    with pytest.raises(ExplanationError, match=message):
        randomisation_check(model, images, method="saliency")
    check = sanity_check(model, images, method="saliency")
    assert check.randomisation is None and check.faithfulness is not None and check.stability is not None
    assert check.badge in ("failed", "incomplete") and not check.passed
    assert "randomisation cannot be asked: " in check.reason and check.to_dict()["unasked"] in check.reason
    rest = SanityCheck("saliency", 1, None, unasked=check.unasked)
    assert rest.badge == "incomplete" and rest.reason == check.unasked


def test_rank_correlation_is_that_of_scipy_with_ties() -> None:
    from scipy.stats import spearmanr

    random = np.random.default_rng(0)
    for _ in range(5):
        first, second = random.integers(0, 6, (2, 9, 7))
        assert rank_correlation(first, second) == pytest.approx(spearmanr(first.ravel(), second.ravel()).statistic)
    assert rank_correlation(first, first * 3.0 + 1) == pytest.approx(1)
    assert rank_correlation(first, np.zeros((9, 7))) == 0


def test_overlap_is_one_for_the_same_map_and_a_twentieth_by_chance() -> None:
    first, second = np.random.default_rng(0).random((2, 200, 200))
    assert overlap_of_strongest(first, first) == 1
    assert overlap_of_strongest(first, second) == pytest.approx(0.1 / 1.9, abs=0.01)
    assert overlap_of_strongest(first, np.ones((200, 200))) == 0
