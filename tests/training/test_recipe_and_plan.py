"""What was asked, and what it becomes."""

from __future__ import annotations

import itertools
import sys

import pytest
import torch
from torch import nn

from convlens.errors import NetworkError, UsageError
from convlens.training import Plan, Recipe, Setting, default_epochs, first_step, parse_duration, recipe_from
from convlens.training.plan import default_batch, default_rate, first_plan
from convlens.training.rates import build_optimiser
from convlens.training.schedule import Segment, progress_at, rate_factor

fit_file = sys.modules["convlens.training.fit"]  # `convlens.training.fit` is the function
NORMALISED = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
CONVOLUTION = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
DEEP = nn.Sequential(*(nn.Linear(2, 2) for _ in range(8)))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("1.5m", 90), (12, 12.0), ("2M", 120)]
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "five minutes", "5x", "-3s", "m"])
def test_what_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="5m"):
        Recipe(budget_s=parse_duration(text))


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(UsageError, match="near: learning_rate"):
        recipe_from({"learning_rte": 0.1})


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"checkpoint_seconds": 0.0}, "--checkpoint-seconds came as 0.0; expected a number above 0"),
        ({"budget_s": -1.0}, "--budget came as -1.0; expected a number above 0"),
        ({"batch": 1.5}, "--batch came as 1.5; expected a whole number"),
        ({"label_smoothing": 1.0}, "--label-smoothing came as 1.0; expected 0 or more and less than 1"),
        ({"weight_decay": -1.0}, "--weight-decay came as -1.0; expected 0 or more"),
        ({"progressive": 0.0}, "--progressive came as 0.0; expected a share of the side"),
        ({"bias_rate": 0.0}, "bias_rate came as 0.0; expected a number above 0"),
        ({"momentum": 1.0}, "momentum came as 1.0; expected 0 or more and less than 1"),
    ],
)
def test_what_is_wrong_is_told_as_it_is_typed(wrong, named):
    with pytest.raises(UsageError, match=f"^{named}"):
        Recipe(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"epochs": 3, "budget_s": 60.0},
        {"budget_s": 0.0},
        {"optimiser": "adam"},
        {"betas": (0.9, 1.0)},
        {"betas": (0.9,)},
        {"label_smoothing": 1.0},
        {"l1": -1.0},
        {"l1_scales": -1.0},
        {"ema": 1.0},
        {"lookahead": 0.0},
        {"clip": 0.0},
        {"clip": "1"},
        {"lookahead": 1.5},
        {"freeze_stem": 0.0},
        {"freeze_stem": 1.5},
        {"precision": "fp16"},
        {"epochs": 2.5},
        {"seed": 1 << 64},
        {"seed": -1},
        {"threads": 1_000_000},
        {"budget_s": float("inf")},
        {"weight_decay": float("nan")},
        {"learning_rate": float("nan")},
    ],
)
def test_impossible_recipes_are_refused(wrong):
    with pytest.raises(UsageError):
        Recipe(**wrong)


def test_epochs_and_batches_follow_the_number_of_pictures():
    assert [default_epochs(n) for n in (100, 20_000, 1_000_000)] == [60, 30, 10]
    assert [default_batch(n) for n in (10, 400, 1000, 60_000)] == [16, 16, 32, 128]


def test_fine_tuning_and_deep_plain_networks_get_a_lower_rate():
    usual = default_rate("adamw", NORMALISED, 128, pretrained=False)
    assert default_rate("adamw", NORMALISED, 128, pretrained=True) == usual / 4
    assert default_rate("adamw", DEEP, 128, pretrained=False) == usual / 10
    assert default_rate("adamw", NORMALISED, 32, pretrained=False) == usual / 2


def test_a_plan_survives_json():
    plan = first_plan(Recipe(epochs=3), 1000, NORMALISED, Setting(2)).replanned(10, 50)
    assert Plan.from_dict(plan.to_dict()) == plan


def test_both_schedules_end_at_nothing_and_never_exceed_the_peak():
    for schedule in ("one_cycle", "cosine"):
        factors = [rate_factor(schedule, i / 1000) for i in range(1001)]
        assert max(factors) == pytest.approx(1, abs=0.01) and max(factors) <= 1
        assert factors[-1] == pytest.approx(0, abs=1e-9)
    assert rate_factor("one_cycle", 0) == pytest.approx(0.04)
    assert rate_factor("cosine", 0) == 1


def test_progress_is_continuous_through_re_planning_and_ends_at_one():
    plan = Plan(1, 10, 0.1, (Segment(0, 0.0, 100),)).replanned(30, 60).replanned(40, 200)
    steps = [progress_at(step, plan.segments) for step in range(201)]
    assert steps == sorted(steps)
    assert max(b - a for a, b in itertools.pairwise(steps)) < 0.03
    assert steps[30] == pytest.approx(0.3)
    assert steps[-1] == 1


def test_a_later_plan_never_changes_the_steps_before_it():
    plan = Plan(1, 10, 0.1, (Segment(0, 0.0, 100),))
    before = [progress_at(step, plan.segments) for step in range(31)]
    again = plan.replanned(30, 45)
    assert [progress_at(step, again.segments) for step in range(31)] == before


@pytest.mark.parametrize("optimiser", ["sgd", "adamw", "muon"])
def test_norms_and_biases_do_not_decay(optimiser):
    built = build_optimiser(NORMALISED, Recipe(optimiser=optimiser))
    for group in built.groups:
        assert (group.weight_decay == 0) == all(p.ndim <= 1 for p in group.parameters)
    assert sum(len(group.parameters) for group in built.groups) == len(list(NORMALISED.parameters()))


def test_frozen_parameters_are_left_out():
    network = nn.Linear(2, 2)
    network.bias.requires_grad_(False)
    built = build_optimiser(network, Recipe())
    assert [p.shape for group in built.groups for p in group.parameters] == [torch.Size([2, 2])]


def test_a_large_network_gets_a_smaller_batch(monkeypatch):
    plan = first_plan(Recipe(epochs=1), 60_000, NORMALISED, Setting(2), most=20)
    assert plan.batch == 20 and plan.steps_per_epoch == 3000
    assert first_plan(Recipe(epochs=1, batch=64), 60_000, NORMALISED, Setting(2), most=20).batch == 64
    monkeypatch.setattr(fit_file, "device_bytes", lambda _: 8 * 2**20)
    few = fit_file.largest_batch(CONVOLUTION, (1, 1, 64, 64), "cpu")
    monkeypatch.setattr(fit_file, "device_bytes", lambda _: 16 * 2**20)
    assert 1 < few < fit_file.largest_batch(CONVOLUTION, (1, 1, 64, 64), "cpu") < 1 << 20


class Answering(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, images):
        return self.answer(images)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), "cannot be trained on batches of shape"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(1, 2)), "larger --batch"),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), "gave \\(1, 3\\); expected a tensor of logits \\(1, 2\\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 1)), "gave \\(1, 1\\); expected a tensor of logits \\(1, 2\\)"),
        (Answering(lambda images: {"logits": images}), "gave a dict; expected a tensor of logits"),
        (Answering(lambda images: {}["missing"]), "KeyError: 'missing'; see that it takes pictures alone"),
    ],
)
def test_a_step_that_fails_is_said_before_anything_is_written(network, said):
    with pytest.raises(NetworkError, match=said):
        first_step.check_step(network, torch.rand(1, 1, 4, 4), torch.zeros(1, dtype=torch.int64), 2)


def test_a_plan_says_how_much_of_its_schedule_was_reached() -> None:
    whole = Plan(8, 10, 0.1, (Segment(0, 0.0, 100),))
    assert whole.reached == 1
    assert whole.replanned(40, 80).reached == 1
    assert whole.replanned(40, 40).reached == pytest.approx(0.4)


def test_a_network_whose_layers_have_no_weights_yet_is_refused():
    with pytest.raises(
        UsageError, match=r"a lazy layer of the network has no weights yet .*at the end of its __init__"
    ):
        fit_file.make_plan(nn.LazyLinear(2), lambda _: pytest.fail("pictures were asked for"), Recipe(), Setting(2))


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.waves = nn.Parameter(torch.ones(2, 16, dtype=torch.complex64))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.flatten(1).to(torch.complex64) @ self.waves.T).abs()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).requires_grad_(False), "has no parameter that learns"),
        (Complex(), "the parameter waves is of torch.complex64; expected real numbers"),
    ],
)
def test_what_cannot_learn_is_said_before_anything_is_written(network: nn.Module, message: str) -> None:
    images, labels = torch.rand(1, 1, 4, 4), torch.zeros(1, dtype=torch.int64)

    def check() -> None:
        first_step.check_network(network)
        first_step.check_step(network, images, labels, 2)

    with pytest.raises(NetworkError, match=message):
        check()


@pytest.mark.parametrize(("last", "is_told"), [(nn.Softmax(1), True), (nn.Identity(), False), (nn.Sigmoid(), False)])
def test_a_network_that_ends_in_a_softmax_is_told_so(last: nn.Module, is_told: bool) -> None:
    said: list[str] = []
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), last)
    first_step.check_step(network, torch.rand(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64), 3, said.append)
    assert said == ([first_step.PROBABILITIES] if is_told else [])
