"""What every explanation method owes, as a suite that a user's own method can run too.

    check_method(Method("mine", my_function, title="Mine", sign="…", source="…"), model, images)

`my_function` takes a `Question` and gives maps (N, h, w).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlens.errors import ConvlensError, ExplanationError, UsageError
from convlens.explanation.leftovers import (
    difference,
    generator_states,
    generators_apart,
    network_state,
    torch_state,
)
from convlens.explanation.methods import METHODS, Method, find_method
from convlens.explanation.preparation import as_input, network_with_values, prepared
from convlens.explanation.question import Question, TargetLike
from convlens.explanation.randomisation import copied
from convlens.explanation.verb import Explanation, explain

Ask = Callable[..., Explanation]
TOLERANCE = 1e-5  # of the largest value of the maps; sums of another batch size may be ordered otherwise


def check_method(
    method: str | Method, model: nn.Module, images: Tensor, *, layer: str | None = None, **options: Any
) -> tuple[str, ...]:
    """Run every check on `model` and at least two pictures; gives the names of the checks. `options` are the method's.

    Raises ExplanationError with the first promise that is broken.
    """
    network_with_values(model)
    if not isinstance(images, Tensor):
        raise UsageError(f"pictures came as {type(images).__name__}; expected a float tensor (N, C, H, W)")
    if len(images) < 2:
        raise ExplanationError(
            f"the contract compares a batch with single pictures; give two or more, not {len(images)}"
        )
    chosen = _watched(find_method(method), changes=_changes_itself(model, images))

    def ask(model: nn.Module, images: Tensor, target: TargetLike = None) -> Explanation:
        return explain(model, images, target, method=chosen, layer=layer, **options)

    for check in CHECKS:
        problem = check(ask, model, images)
        if problem:
            raise ExplanationError(f"method {chosen.name} breaks '{_sentence(check)}': {problem}")
    layer = ask(model, images).layer  # which is chosen by a pass, and the passes to come fail
    problem = _restored_after_error(model, images, method=chosen, layer=layer, **options)
    if problem:
        raise ExplanationError(f"method {chosen.name} breaks 'network restored after an error': {problem}")
    return (*(_sentence(check) for check in CHECKS), "network restored after an error")


def _sentence(check: Callable[..., str]) -> str:
    return check.__name__.strip("_").replace("_", " ")


def _one_finite_float32_map_a_picture(ask: Ask, model: nn.Module, images: Tensor) -> str:
    maps = ask(model, images).maps
    expected = (len(images), *images.shape[2:])
    if maps.shape != expected or maps.dtype != np.float32:
        return f"maps are {maps.shape} {maps.dtype}, not {expected} float32"
    return "" if np.isfinite(maps).all() else "maps are not finite"


def _same_question_same_answer(ask: Ask, model: nn.Module, images: Tensor) -> str:
    same = np.array_equal(ask(model, images).maps, ask(model, images).maps)
    return "" if same else "two calls gave different maps; take random numbers from a generator with a fixed seed"


def _target_as_none_int_list_tensor_or_function(ask: Ask, model: nn.Module, images: Tensor) -> str:
    predicted = ask(model, images)
    classes = list(predicted.targets)
    forms = {"a list": classes, "a tensor": torch.tensor(classes), "a function": _logit_of(classes)}
    for form, target in forms.items():
        if not _close(ask(model, images, target).maps, predicted.maps):
            return f"target given as {form} gives another map than the predicted class"
    listed = ask(model, images, classes[:1] * len(images)).maps
    return "" if _close(ask(model, images, classes[0]).maps, listed) else "target given as an int gives another map"


def _another_class_another_map(ask: Ask, model: nn.Module, images: Tensor) -> str:
    with torch.no_grad():
        num_classes = _logits(model, images).shape[1]
    maps = [ask(model, images, number).maps for number in range(min(num_classes, 4))]
    if len(maps) == 1 or any(not np.array_equal(maps[0], other) for other in maps[1:]):
        return ""
    return "the maps of all classes are the same; explain question.target, and no other class"


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    """What the network says, in evaluation mode and given back as it was."""
    with prepared(model), torch.no_grad():
        return model(as_input(model, images))


def _torch_left_as_it_was(ask: Ask, model: nn.Module, images: Tensor) -> str:
    """Asked first, on a copy: what a method changes for good would no longer be seen at its second call."""
    before = torch_state()
    ask(copied(model), images)
    return difference(before, torch_state())


def _random_generators_left_as_they_were(ask: Ask, model: nn.Module, images: Tensor) -> str:
    with generators_apart():
        before = generator_states()
        ask(model, images)
        return difference(before, generator_states())


def _watched(method: Method, *, changes: bool) -> Method:
    """The same, but it says where grad mode or a buffer is another afterwards: `explain` puts both right.

    `changes` where the network changes its buffers itself at every pass.
    """

    @wraps(method.function)
    def watched(question: Question, **options: Any) -> Tensor:
        before, buffers = torch.is_grad_enabled(), _buffers(question.model)
        maps = method.function(question, **options)
        if torch.is_grad_enabled() != before:
            promise = _sentence(_torch_left_as_it_was)
            raise ExplanationError(f"method {method.name} breaks '{promise}': grad mode was changed")
        if not changes and (changed := difference(buffers, _buffers(question.model))):
            promise = _sentence(_network_and_pictures_left_as_they_were)
            raise ExplanationError(f"method {method.name} breaks '{promise}': {changed}")
        return maps

    return replace(method, function=watched)


def _buffers(model: nn.Module) -> dict[str, Tensor]:
    return {f"buffer {name}": buffer.clone() for name, buffer in model.named_buffers()}


def _changes_itself(model: nn.Module, images: Tensor) -> bool:
    with prepared(model), torch.no_grad():
        before = _buffers(model)
        try:
            model(as_input(model, images))
        except ConvlensError:
            raise
        except Exception:
            return False  # the first check says what is wrong
        return difference(before, _buffers(model)) != ""


def _logit_of(classes: list[int]) -> Callable[[Tensor], Tensor]:
    return lambda logits: logits[torch.arange(len(logits)), torch.tensor(classes)]


def _batch_equals_single_pictures(ask: Ask, model: nn.Module, images: Tensor) -> str:
    """In float64, where method and network take it: a unit on its kink falls to either side by rounding."""
    try:
        return _apart(ask, copied(model).double(), images.double())
    except Exception:  # whatever it is; in float32 it would have come before
        return _apart(ask, model, images)


def _apart(ask: Ask, model: nn.Module, images: Tensor) -> str:
    together = ask(model, images).maps
    alone = np.concatenate([ask(model, image[None]).maps for image in images])
    return "" if _close(together, alone) else f"maps differ by up to {np.abs(together - alone).max():.2g}"


def _network_and_pictures_left_as_they_were(ask: Ask, model: nn.Module, images: Tensor) -> str:
    borrowed = copied(model).train()
    pictures = images.clone()
    for parameter in borrowed.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = network_state(borrowed)
    ask(borrowed, pictures)
    if not torch.equal(pictures, images) or pictures.requires_grad:
        return "the pictures were changed"
    return difference(before, network_state(borrowed))


def _works_with_frozen_weights_and_without_gradients(ask: Ask, model: nn.Module, images: Tensor) -> str:
    expected = ask(model, images).maps
    frozen = copied(model).requires_grad_(False)
    if not _close(ask(frozen, images).maps, expected):
        return "frozen weights give another map"
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            maps = ask(model, images.clone()).maps
        if not _close(maps, expected):
            return f"under {mode.__name__} the map is another"
    return ""


def _finite_in_bfloat16(ask: Ask, model: nn.Module, images: Tensor) -> str:
    maps = ask(copied(model).bfloat16(), images).maps
    return "" if maps.dtype == np.float32 and np.isfinite(maps).all() else f"maps are {maps.dtype} or not finite"


def _same_on_an_accelerator(ask: Ask, model: nn.Module, images: Tensor) -> str:
    if not torch.cuda.is_available():
        return ""
    there = ask(copied(model).cuda(), images).maps
    return "" if _close(there, ask(model, images).maps, 1e-2) else "the map of the GPU is another"


def _close(first: np.ndarray, second: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    return bool(np.abs(first - second).max() <= tolerance * max(float(np.abs(second).max()), 1e-12))


def _restored_after_error(model: nn.Module, images: Tensor, **asked: Any) -> str:
    """The network fails in its middle, then at its end; nothing may stay behind."""
    leaves = [module for module in model.modules() if not list(module.children())]
    for failing in (leaves[len(leaves) // 2], leaves[-1]):
        hook = failing.register_forward_hook(_fail)
        before = network_state(model)
        try:
            explain(model, images, **asked)
        except _Planned:
            problem = difference(before, network_state(model))
        else:
            problem = ""  # that module took no part in the pass
        finally:
            hook.remove()
        if problem:
            return problem
    return ""


class _Planned(ConvlensError):
    pass


def _fail(*_: object) -> None:
    raise _Planned("planned by the contract")


CHECKS = (
    _torch_left_as_it_was,
    _network_and_pictures_left_as_they_were,
    _one_finite_float32_map_a_picture,
    _same_question_same_answer,
    _target_as_none_int_list_tensor_or_function,
    _another_class_another_map,
    _batch_equals_single_pictures,
    _random_generators_left_as_they_were,
    _works_with_frozen_weights_and_without_gradients,
    _finite_in_bfloat16,
    _same_on_an_accelerator,
)

__all__ = ["CHECKS", "METHODS", "Question", "check_method", "difference", "network_state"]
