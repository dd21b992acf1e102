"""The published suite finds what it is there to find: one broken method for each promise."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convlens import zoo
from convlens.errors import ExplanationError
from convlens.explanation import Explanation, Method, Question, check_method, explain
from convlens.explanation.contract import _batch_equals_single_pictures
from convlens.explanation.saliency import saliency


def leaves_a_hook(question: Question) -> Tensor:
    question.model.register_forward_hook(lambda *_: None)
    return saliency(question)


def moves_statistics(question: Question) -> Tensor:
    question.model.stem[1].running_mean.add_(1)
    return saliency(question)


def draws_at_random(question: Question) -> Tensor:
    return saliency(question) * torch.rand(())


def mixes_the_batch(question: Question) -> Tensor:
    maps = saliency(question)
    return maps - maps.mean(0)


def ignores_the_target(question: Question) -> Tensor:
    images = question.images.requires_grad_()
    logits = question.model(images)
    question.target.score(logits)
    if callable(question.target.asked):
        return question.images.detach().abs().amax(1)
    return question.gradient(logits.amax(1), images).abs().amax(1)


HANDLES: list[Any] = []


@pytest.fixture(autouse=True)
def no_hooks_for_all() -> Iterator[None]:
    yield
    while HANDLES:
        HANDLES.pop().remove()


def moves_the_generator(question: Question) -> Tensor:
    torch.manual_seed(0)
    return saliency(question)


def hooks_all_modules(question: Question) -> Tensor:
    HANDLES.append(torch.nn.modules.module.register_module_forward_hook(lambda *_: None))
    return saliency(question)


def always_explains_the_same(question: Question) -> Tensor:
    question.settle()
    images = question.images.requires_grad_()
    return question.gradient(question.model(images)[:, 0], images)


def leaves_gradients(question: Question) -> Tensor:
    maps = saliency(question)
    for parameter in question.model.parameters():
        parameter.grad = None
    return maps


def hooks_a_parameter(question: Question) -> Tensor:
    weight = next(question.model.parameters()).requires_grad_()
    weight.register_hook(torch.zeros_like)
    weight.requires_grad_(False)
    return saliency(question)


def hooks_a_sum_of_gradients(question: Question) -> Tensor:
    weight = next(question.model.parameters()).requires_grad_()
    weight.register_post_accumulate_grad_hook(lambda _: None)
    weight.requires_grad_(False)
    return saliency(question)


def replaces_a_module(question: Question) -> Tensor:
    question.model.stem[2] = nn.LeakyReLU()
    return saliency(question)


def overrides_a_forward(question: Question) -> Tensor:
    question.model.stem[2].forward = torch.relu
    return saliency(question)


def draws_from_numpy(question: Question) -> Tensor:
    np.random.rand()  # noqa: NPY002
    return saliency(question)


def draws_from_python(question: Question) -> Tensor:
    random.random()
    return saliency(question)


def changes_threads(question: Question) -> Tensor:
    torch.set_num_threads(torch.get_num_threads() + 1)
    return saliency(question)


def wants_determinism(question: Question) -> Tensor:
    torch.use_deterministic_algorithms(True)
    return saliency(question)


def detects_anomalies(question: Question) -> Tensor:
    torch.autograd.set_detect_anomaly(True, check_nan=False)
    return saliency(question)


def turns_gradients_off(question: Question) -> Tensor:
    maps = saliency(question)
    torch.set_grad_enabled(False)
    return maps


@pytest.fixture(autouse=True)
def modes_as_they_were() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    torch.autograd.set_detect_anomaly(False)


BROKEN = [
    (leaves_a_hook, "left as they were"),
    (moves_statistics, "left as they were.*buffer stem.1.running_mean was changed"),
    (draws_at_random, "same question same answer"),
    (mixes_the_batch, "batch equals single"),
    (ignores_the_target, "target as none int list"),
    (moves_the_generator, "random generators.*torch's random generator was changed"),
    (hooks_all_modules, "torch left as it was.*a hook for all modules was changed"),
    (always_explains_the_same, "another class another map"),
    (leaves_gradients, "left as they were.*parameter .* was changed"),
    (hooks_a_parameter, "left as they were.*parameter .* was changed"),
    (hooks_a_sum_of_gradients, "left as they were.*parameter .* was changed"),
    (replaces_a_module, "left as they were.*module stem.2 was changed"),
    (overrides_a_forward, "left as they were.*module stem.2 was changed"),
    (draws_from_numpy, "NumPy's random generator was changed"),
    (draws_from_python, "Python's random generator was changed"),
    (changes_threads, "torch left as it was.*the number of threads was changed"),
    (wants_determinism, "deterministic mode was changed"),
    (detects_anomalies, "anomaly detection was changed"),
    (turns_gradients_off, "torch left as it was.*grad mode was changed"),
]


@pytest.mark.parametrize(("function", "promise"), BROKEN)
def test_a_broken_promise_is_found(
    function: Callable[[Question], Tensor], promise: str, residual: nn.Module, images: Tensor
) -> None:
    method = Method("broken", function, title="Broken", sign="", source="")
    with pytest.raises(ExplanationError, match=promise):
        check_method(method, residual, images)


def test_a_hook_that_stays_only_after_an_error_is_found(residual: nn.Module, images: Tensor) -> None:
    def careless(question: Question) -> Tensor:
        hook = question.model.stem.register_forward_hook(lambda *_: None)
        maps = saliency(question)
        hook.remove()
        return maps

    with pytest.raises(ExplanationError, match=r"restored after an error.*module stem was changed"):
        check_method(Method("careless", careless, title="", sign="", source=""), residual, images)


def test_one_picture_is_not_enough_to_compare(residual: nn.Module, images: Tensor) -> None:
    with pytest.raises(ExplanationError, match="two or more"):
        check_method("saliency", residual, images[:1])


class Keeping(nn.Module):
    """Keeps its last logits, which have a gradient."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        self.last = self.network(images)
        return self.last


def test_a_network_that_keeps_its_activations_is_no_false_alarm(residual: nn.Module, images: Tensor) -> None:
    keeping = Keeping(residual)
    keeping(images)
    for method in ("saliency", "grad_cam", "occlusion"):
        assert len(check_method(method, keeping, images)) == 12


def test_units_on_their_kink_are_no_mixing() -> None:
    """In float32 a batch is summed up in another order than a picture, and some units fall to the other side."""
    torch.manual_seed(0)
    network = zoo.create("mobilenet_v2", num_classes=5, image_size=64).eval()
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def ask(network: nn.Module, pictures: Tensor) -> Explanation:
        return explain(network, pictures, method="saliency")

    assert _batch_equals_single_pictures(ask, network, pictures) == ""


def test_a_method_that_takes_no_float64_is_compared_in_float32(residual: nn.Module, images: Tensor) -> None:
    def only_float32(question: Question) -> Tensor:
        if question.images.dtype == torch.float64:
            raise TypeError("float32 only")
        return saliency(question)

    def only_float32_mixing(question: Question) -> Tensor:
        maps = only_float32(question)
        return maps - maps.mean(0)

    assert len(check_method(Method("single", only_float32, title="", sign="", source=""), residual, images)) == 12
    with pytest.raises(ExplanationError, match="batch equals single"):
        check_method(Method("mixing", only_float32_mixing, title="", sign="", source=""), residual, images)
