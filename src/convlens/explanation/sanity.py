"""The badge beside every map: passed, failed or incomplete, and why.

    randomisation   other weights, another map?                                    Adebayo et al. 2018, section 3
    labels          another network, trained on shuffled labels, another map?      the same, section 4
    faithfulness    does what the map marks matter more than other places?         Petsiuk et al. 2018
    stability       noise that no eye sees, the same map?                          Alvarez-Melis and Jaakkola 2018

Each is a necessary condition, none a sufficient one: a map that passes them all may still be read wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from convlens.errors import ExplanationError, UsageError, check_count
from convlens.explanation.faithfulness import Faithfulness, faithfulness
from convlens.explanation.methods import Method
from convlens.explanation.preparation import as_input, failures_told, prepared
from convlens.explanation.question import Question, Target, TargetLike
from convlens.explanation.randomisation import LARGEST_SIMILARITY, RandomisationCheck, randomisation_check
from convlens.explanation.similarity import likeness
from convlens.explanation.stability import Stability, stability
from convlens.explanation.verb import Explanation, explain

PARTS = ("randomisation", "labels", "faithfulness", "stability")


@dataclass(frozen=True)
class LabelCheck:
    """How alike the maps of a network trained on shuffled labels are; means over the pictures."""

    rank_correlation: float
    overlap: float

    @property
    def passed(self) -> bool:
        return max(self.rank_correlation, self.overlap) <= LARGEST_SIMILARITY

    @property
    def reason(self) -> str:
        what = "another one" if self.passed else "much the same"
        return (
            f"a network trained on shuffled labels gives {what} (rank correlation {self.rank_correlation:.2f}, overlap "
            f"{self.overlap:.2f}, bound {LARGEST_SIMILARITY})"
        )


@dataclass(frozen=True)
class SanityCheck:
    """What was found of a method on this network and these pictures; None where it was not or could not be asked.

    `unasked` says why randomisation could not be, "" where it was: without it no check is passed.
    """

    method: str
    num_pictures: int
    randomisation: RandomisationCheck | None
    labels: LabelCheck | None = None
    faithfulness: Faithfulness | None = None
    stability: Stability | None = None
    unasked: str = ""

    @property
    def passed(self) -> bool:
        return self.badge == "passed"

    @property
    def badge(self) -> str:
        if not all(part.passed for part in self._parts):
            return "failed"
        return "incomplete" if self.unasked else "passed"

    @property
    def reason(self) -> str:
        """Of a failed check what failed, of another one what holds; and what could not be asked."""
        failed = self.badge == "failed"
        chosen = [part.reason for part in self._parts if part.passed != failed]
        return "; ".join(chosen + ([self.unasked] if self.unasked else []))

    @property
    def _parts(self) -> list[RandomisationCheck | LabelCheck | Faithfulness | Stability]:
        parts = (getattr(self, name) for name in PARTS)
        return [part for part in parts if part is not None]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, every part with its verdict."""
        return _plain(self) | {"badge": self.badge}


def sanity_check(
    model: nn.Module,
    images: Tensor,
    target: TargetLike = None,
    *,
    method: str | Method = "grad_cam",
    layer: str | None = None,
    shuffled: nn.Module | None = None,
    check_seed: int = 0,
    **options: Any,
) -> SanityCheck:
    """Every check of a method on (N, C, H, W) pictures. More pictures make the verdict firmer.

    `check_seed` draws what the checks draw; `options` are the method's own, its `seed` too. `shuffled` is the same
    network, trained on the same pictures with shuffled labels; without it labels are not asked about. Where `target` is
    a function of the logits there is no class whose probability could fall, and no class that a noisy picture could be
    asked about: faithfulness and stability are left out.
    """
    check_count("check_seed", check_seed, least=0)
    asked: dict[str, Any] = {"method": method, **options}
    original = explain(model, images, target, layer=layer, **asked)
    drawn, unasked = None, ""
    try:
        drawn = randomisation_check(model, images, target, layer=original.layer, check_seed=check_seed, **asked)
    except ExplanationError as error:  # of the copy: the network itself has just been explained
        unasked = f"randomisation cannot be asked: {error}"
    labels = None if shuffled is None else _labels(shuffled, images, original, asked)
    flat = drawn is not None and not drawn.stages  # maps that are the same everywhere
    if callable(target) or flat:
        return SanityCheck(original.method, len(images), drawn, labels, unasked=unasked)
    with prepared(model):
        inputs = as_input(model, images)
        question = Question(model, inputs, Target(list(original.targets), len(inputs)))
        with failures_told(model, inputs, "faithfulness"):
            faithful = faithfulness(question, original.maps, seed=check_seed)
    steady = stability(model, images, original, check_seed=check_seed, **asked)
    return SanityCheck(original.method, len(images), drawn, labels, faithful, steady, unasked)


def _labels(shuffled: nn.Module, images: Tensor, original: Explanation, asked: dict[str, Any]) -> LabelCheck:
    if not original.targets:
        raise UsageError("a network of shuffled labels came with a target function; give classes, or leave it out")
    maps = explain(shuffled, images, list(original.targets), layer=original.layer, **asked).maps
    alike = [likeness(one, two) for one, two in zip(original.maps, maps, strict=True)]
    return LabelCheck(*np.mean(alike, axis=0).tolist())


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if not is_dataclass(value):
        return value
    told = {name: getattr(value, name) for name in ("passed", "reason", "score") if hasattr(value, name)}
    return told | {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
