"""The badge: faithfulness, stability and shuffled labels, each against a map of which the answer is known."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convlens.errors import UsageError
from convlens.explanation import Method, Question, SanityCheck, sanity_check
from convlens.explanation.contract import difference, network_state
from convlens.explanation.faithfulness import centre_blob, faithfulness, num_passes
from convlens.explanation.preparation import prepared
from convlens.explanation.question import Target


class Corner(nn.Module):
    """Class 1 is the light of the upper left quarter, class 0 says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, images: Tensor) -> Tensor:
        light = self.weight * images[:, 0, :4, :4].sum((1, 2))
        return torch.stack([torch.zeros_like(light), light], 1)


@pytest.fixture
def light() -> Tensor:
    return torch.ones(2, 1, 8, 8) + 0.1 * torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def asked(images: Tensor) -> Question:
    return Question(Corner(), images, Target([1] * len(images), len(images)))


def test_a_map_of_what_matters_is_faithful_and_its_opposite_is_not(light: Tensor) -> None:
    right = np.zeros((2, 8, 8), np.float32)
    right[:, :4, :4] = 1
    with prepared(Corner()):
        good, bad = (faithfulness(asked(light), maps) for maps in (right, -right))
    assert good.passed and not bad.passed
    assert good.map.score > 0.35 > good.random.score > bad.map.score
    assert good.map.score > good.centre.score > bad.map.score
    assert "matters more than other places" in good.reason and "matters no more" in bad.reason
    assert "the blob does as well" in bad.reason and "blob does" not in good.reason
    assert good.random.deletion[0] == good.map.deletion[0] == pytest.approx(good.map.insertion[-1])


def test_deletion_takes_the_most_important_first(light: Tensor) -> None:
    """With a quarter of the pixels marked, the class is gone after three tenths: probability one half."""
    right = np.zeros((2, 8, 8), np.float32)
    right[:, :4, :4] = 1
    curve = faithfulness(asked(light), right).map
    assert curve.deletion[3] == pytest.approx(0.5) and curve.deletion[10] == pytest.approx(0.5)
    assert curve.deletion[2] > 0.7
    assert curve.deletion_area == pytest.approx(np.trapezoid(curve.deletion, dx=0.1))


def test_the_blob_is_in_the_centre() -> None:
    blob = centre_blob(9, 13)
    assert np.unravel_index(blob.argmax(), blob.shape) == (4, 6) and blob.max() == 1
    np.testing.assert_allclose(blob, blob[::-1, ::-1])


def test_a_good_method_passes_every_check(digits: tuple[nn.Module, Tensor]) -> None:
    model, images = digits
    before = network_state(model)
    check = sanity_check(model, images[:8], method="occlusion", window=4, stride=2)
    assert difference(before, network_state(model)) == ""
    assert check.passed and check.badge == "passed", check.reason
    assert check.faithfulness is not None and check.stability is not None and check.labels is None
    told = check.to_dict()
    assert told["badge"] == "passed" and told["faithfulness"]["map"]["score"] > told["faithfulness"]["random"]["score"]
    assert told["randomisation"]["stages"] and told["stability"]["passed"] is True
    assert check.reason.count(";") == 2


def noisy(question: Question) -> Tensor:
    """Depends on the weights, on every last digit of the picture, and shows nothing."""
    question.settle()
    bits = (1e4 * question.images.sum(1) * (1 + sum(p.abs().sum() for p in question.model.parameters()))).double()
    return torch.sin(bits * torch.arange(1, bits[0].numel() + 1).reshape(bits.shape[1:])).float()


def test_an_unstable_map_fails(digits: tuple[nn.Module, Tensor]) -> None:
    model, images = digits
    check = sanity_check(model, images[:8], method=Method("noisy", noisy, "Noisy", "", ""))
    assert check.randomisation.passed and check.stability is not None and not check.stability.passed
    assert check.badge == "failed" and "with noise that no eye sees the map changes" in check.reason
    assert "random weights" not in check.reason  # only what failed


def test_shuffled_labels_are_asked_about_where_there_is_such_a_network(digits: tuple[nn.Module, Tensor]) -> None:
    model, images = digits
    torch.manual_seed(3)
    other = copy.deepcopy(model)
    for part in other:
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    found = sanity_check(model, images[:8], method="grad_cam", layer="3", shuffled=other)
    assert found.labels is not None and found.labels.passed and "labels gives another one" in found.labels.reason
    itself = sanity_check(model, images[:8], method="grad_cam", layer="3", shuffled=model)
    assert itself.labels is not None and itself.labels.rank_correlation == pytest.approx(1)
    assert not itself.passed and "shuffled labels gives much the same" in itself.reason


def test_a_target_function_leaves_out_what_needs_a_class(digits: tuple[nn.Module, Tensor]) -> None:
    model, images = digits

    def contrast(logits: Tensor) -> Tensor:
        return logits[:, 1] - logits[:, 2]

    found = sanity_check(model, images[:4], contrast, method="saliency")
    assert found.faithfulness is None and found.stability is None and found.randomisation.stages
    with pytest.raises(UsageError, match="give classes, or leave it out"):
        sanity_check(model, images[:4], contrast, method="saliency", shuffled=model)


def test_flat_maps_fail_without_further_questions(digits: tuple[nn.Module, Tensor]) -> None:
    model, images = digits

    def flat(question: Question) -> Tensor:
        question.settle()
        return torch.zeros(len(question.images), 4, 4)

    found = sanity_check(model, images[:2], method=Method("flat", flat, "Flat", "", ""))
    assert isinstance(found, SanityCheck) and not found.passed and "the same everywhere" in found.reason


def test_options_reach_every_check(digits: tuple[nn.Module, Tensor]) -> None:
    model, images = digits
    fine = sanity_check(model, images[:2], method="occlusion", window=2)
    assert fine != sanity_check(model, images[:2], method="occlusion", window=8)
    smooth = nn.Sequential(nn.Conv2d(1, 4, 3), nn.SiLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 3))
    assert sanity_check(smooth, images[:2], method="guided", rule="gate").method == "guided"


def test_one_logit_is_yes_or_no(light: Tensor) -> None:
    class Yes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.corner = Corner()

        def forward(self, images: Tensor) -> Tensor:
            return self.corner(images)[:, 1:] - 4

    right = np.zeros((2, 8, 8), np.float32)
    right[:, :4, :4] = 1
    model = Yes()
    found = faithfulness(Question(model, light, Target([0, 0], 2)), right)
    assert found.passed and found.map.deletion[0] > 0.9 and found.map.deletion[-1] < 0.1


def test_noise_that_knows_nothing_is_not_faithful(digits: tuple[nn.Module, Tensor]) -> None:
    model, images = digits
    passed = 0
    for seed in range(40):
        rough = torch.rand(8, 1, 5, 5, generator=torch.Generator().manual_seed(seed))
        maps = F.interpolate(rough, (16, 16), mode="bilinear")[:, 0].numpy()
        with prepared(model):
            passed += faithfulness(Question(model, images[:8], Target(None, 8)), maps, seed=seed).passed
    assert passed <= 5  # 2 are expected at 5 %, and 20 passed when a map was compared with two moves


def test_a_class_that_the_picture_speaks_against_cannot_be_tested(digits: tuple[nn.Module, Tensor]) -> None:
    model, images = digits
    with torch.no_grad():
        lost = (model(torch.zeros_like(images[:1])).softmax(1) - model(images[:1]).softmax(1)).argmax(1).tolist()
    found = sanity_check(model, images[:1], lost, method="occlusion", window=4, stride=2)
    assert found.faithfulness is not None and not found.faithfulness.passed
    assert "no evidence for this class" in found.reason and found.badge == "failed"


def test_the_seed_of_a_method_is_its_own(digits: tuple[nn.Module, Tensor]) -> None:
    model, images = digits
    seen = set()

    def drawn(question: Question, *, seed: int = 0) -> Tensor:
        seen.add(seed)
        question.settle()
        return question.images.mean(1)

    sanity_check(model, images[:2], method=Method("drawn", drawn, "Drawn", "", ""), seed=-5, check_seed=3)
    assert seen == {-5}


def test_a_network_that_keeps_its_last_result_is_checked(digits: tuple[nn.Module, Tensor]) -> None:
    class Keeps(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model, self.kept = model, {}

        def forward(self, images: Tensor) -> Tensor:
            self.last = self.model[:3](images)
            self.kept["all"] = [self.last]
            return self.model[3:](self.last)

    model, images = digits
    kept, plain = (sanity_check(each, images[:2], method="saliency") for each in (Keeps(model), model))
    assert kept.randomisation.stages[-1].num_layers == plain.randomisation.stages[-1].num_layers


def test_a_map_that_changes_its_sign_is_no_other_map(digits: tuple[nn.Module, Tensor]) -> None:
    """The picture alone, times a sign of the weights: its rank correlations must not cancel out."""

    def signed(question: Question) -> Tensor:
        question.settle()
        light = question.images.detach().mean(1)
        return (light - light.mean((1, 2), keepdim=True)) * torch.sign(
            sum(p.sum() for p in question.model.parameters())
        )

    model, images = digits
    method = Method("signed", signed, "Signed", "", "", signed=True)
    assert not any(
        sanity_check(model, images[:4], method=method, check_seed=seed).randomisation.passed for seed in range(4)
    )


def test_faithfulness_costs_as_many_passes_as_it_says():
    seen: list[int] = []

    class Counting(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(len(images))
            return images.mean((2, 3))

    question = Question(Counting(), torch.rand(2, 3, 8, 8), Target(None, 2))
    maps = np.random.default_rng(0).random((2, 8, 8))
    faithfulness(question, maps)  # which traces the network too, once
    seen.clear()
    faithfulness(question, maps)
    assert sum(seen) == 2 * num_passes() + 2  # the classes are settled first
