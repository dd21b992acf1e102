"""The published suite finds what it is there to find: one broken method for each promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from convlens.errors import ExplanationError
from convlens.explanation import Method, Question, check_method
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


BROKEN = [
    (leaves_a_hook, "left as they were"),
    (moves_statistics, "same question same answer"),
    (draws_at_random, "same question same answer"),
    (mixes_the_batch, "batch equals single"),
    (ignores_the_target, "target as none int list"),
    (moves_the_generator, "nothing left in torch itself.*random generator changed"),
    (hooks_all_modules, "nothing left in torch itself.*hooks changed"),
    (always_explains_the_same, "another class another map"),
    (leaves_gradients, "left as they were.*parameter .* was changed"),
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
