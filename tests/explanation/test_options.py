"""Options of a user's own method: of the kind of their defaults, where these are numbers or words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convlens.errors import UsageError
from convlens.explanation import Method, Question, explain

SEEN: dict[str, object] = {}


def of_many_kinds(
    question: Question,
    *,
    normalise: bool = True,
    kernel: tuple[int, int] = (3, 3),
    base: Tensor | None = None,
    gate: Callable[[Tensor], Tensor] = F.relu,
    word: str | None = None,
    times: int = 2,
) -> Tensor:
    SEEN.update(normalise=normalise, kernel=kernel, base=base, gate=gate, word=word, times=times)
    return question.images.sum(1)


def scaled(question: Question, alpha: float) -> Tensor:
    return question.images.sum(1) * alpha


MANY = Method("many", of_many_kinds, title="Many", sign="", source="")
SCALED = Method("scaled", scaled, title="Scaled", sign="", source="")
GIVEN = [
    ("normalise", False),
    ("kernel", (5, 5)),
    ("base", torch.zeros(1)),
    ("gate", F.gelu),
    ("word", "a"),
    ("times", 3),
]


@pytest.mark.parametrize(("name", "value"), GIVEN)
def test_an_own_method_has_options_of_every_kind(name: str, value: object, mlp: nn.Module, images: Tensor) -> None:
    explain(mlp, images, method=MANY, **{name: value})
    assert SEEN[name] is value


WRONG = [
    ({"normalise": 1}, "normalise came as 1; expected true or false"),
    ({"times": True}, "times came as True; expected a whole number, like 2"),
    ({"times": 2.5}, "times came as 2.5; expected a whole number, like 2"),
    ({"kernal": 3}, r"no option of method many is called 'kernal' \(near: kernel\)"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_is_of_another_kind_is_refused(
    given: dict[str, object], message: str, mlp: nn.Module, images: Tensor
) -> None:
    with pytest.raises(UsageError, match=message):
        explain(mlp, images, method=MANY, **given)


def test_an_option_without_a_default_must_be_given(mlp: nn.Module, images: Tensor) -> None:
    assert explain(mlp, images, method=SCALED, alpha=0.5).maps.any()
    with pytest.raises(UsageError, match="method scaled needs alpha; give it as an option, alpha=…"):
        explain(mlp, images, method=SCALED)
