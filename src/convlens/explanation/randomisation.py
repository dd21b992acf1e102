"""Does a map depend on what the network has learned? The model-randomisation test (Adebayo et al., 2018).

https://arxiv.org/abs/1810.03292, section 3.1, "cascading randomisation": in a copy of the network the layers are
drawn anew one after the other, from the logits down. A method whose maps hardly change does not show what the network
learned; it shows the picture.

Departures: each weight tensor is drawn from a normal distribution with its own mean and deviation, so that any layer
can be drawn anew and activations keep their size; the maps are compared by Spearman's rank correlation and by the
overlap of their strongest tenth (intersection over union; 0.05 by chance), not by SSIM, whose constants depend on the
scale of the maps.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlens.errors import ExplanationError, check_count
from convlens.explanation.memory import same_network
from convlens.explanation.methods import Method
from convlens.explanation.preparation import as_input, failures_told, prepared
from convlens.explanation.question import TargetLike
from convlens.explanation.similarity import likeness
from convlens.explanation.verb import explain

LARGEST_SIMILARITY = 0.5  # of both measures, with the whole network drawn anew; beyond it the check is failed
NUM_PAIRS = 16
MAX_STAGES = 5  # points of the cascade that are compared, the logits alone and the whole network among them


@dataclass(frozen=True)
class Stage:
    """Everything from the logits down to `layer` drawn anew; similarities are means over pictures and draws."""

    layer: str
    num_layers: int
    rank_correlation: float
    overlap: float


@dataclass(frozen=True)
class RandomisationCheck:
    """A verdict, why, and how the similarity fell on the way."""

    method: str
    passed: bool
    reason: str
    stages: tuple[Stage, ...]
    num_pictures: int
    num_draws: int


def randomisation_check(
    model: nn.Module,
    images: Tensor,
    target: TargetLike = None,
    *,
    method: str | Method = "grad_cam",
    layer: str | None = None,
    check_seed: int = 0,
    **options: Any,
) -> RandomisationCheck:
    """Compare the maps of the network with those of a copy whose layers are drawn anew, from the logits down.

    The classes explained are those of the network as it is; the network itself is not touched. The cascade is repeated,
    2 to 8 times, until 16 pairs of maps are compared: two coarse maps can be alike by chance. More pictures make the
    verdict firmer. ExplanationError for a network without weights, and where one with random weights overflows.
    """
    check_count("check_seed", check_seed, least=0)
    original = explain(model, images, target, method=method, layer=layer, **options)
    if not np.ptp(original.maps, axis=(1, 2)).any():
        reason = "the maps are the same everywhere, so there is nothing to compare"
        return RandomisationCheck(original.method, False, reason, (), len(images), 0)
    if not callable(target):
        target = list(original.targets)
    num_draws = draws_for(len(images))
    measured: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with failures_told(model, images, "randomisation"):
        for draw in range(num_draws):
            for name, num_layers, drawn in _cascade(model, images, (check_seed * 1000 + draw) % 2**63):
                with _blamed_on_the_copy(name):
                    maps = explain(drawn, images, target, method=method, layer=original.layer, **options).maps
                measured.setdefault((name, num_layers), []).extend(map(likeness, original.maps, maps))
    stages = tuple(Stage(*at, *np.mean(pairs, axis=0).tolist()) for at, pairs in measured.items())
    passed, reason = _verdict(stages[-1])
    return RandomisationCheck(original.method, passed, reason, stages, len(images), num_draws)


def draws_for(num_pictures: int) -> int:
    return max(2, min(8, -(-NUM_PAIRS // num_pictures)))


def num_maps(num_pictures: int) -> int:
    """How many maps the check asks for, of a network with MAX_STAGES layers or more: what it costs."""
    return num_pictures * draws_for(num_pictures) * MAX_STAGES


@contextmanager
def _blamed_on_the_copy(layer: str) -> Iterator[None]:
    try:
        yield
    except ExplanationError as error:
        raise ExplanationError(
            f"a copy whose layers are drawn anew, from the logits down to '{layer}', has no map, though the network "
            f"has: {str(error).partition(';')[0]}"
        ) from error


def _verdict(last: Stage) -> tuple[bool, str]:
    passed = max(last.rank_correlation, last.overlap) <= LARGEST_SIMILARITY
    numbers = f"rank correlation {last.rank_correlation:.2f}, overlap {last.overlap:.2f}, bound {LARGEST_SIMILARITY}"
    if passed:
        return True, f"with random weights the maps are different ones ({numbers})"
    return False, f"with random weights the maps stay alike, so they show the picture, not the network ({numbers})"


def _cascade(model: nn.Module, images: Tensor, seed: int) -> Iterator[tuple[str, int, nn.Module]]:
    """The copy at each stage, with the last layer drawn and how many are."""
    drawn = copied(model)
    same_network(drawn, model)
    layers = weighted_layers(drawn, images)[::-1]
    generator = torch.Generator().manual_seed(seed)
    stops = set(np.linspace(1, len(layers), min(MAX_STAGES, len(layers))).round().astype(int).tolist())
    for count, (name, module) in enumerate(layers, start=1):
        _draw_anew(module, generator)
        if count in stops:
            yield name, count, drawn


def copied(model: nn.Module) -> nn.Module:
    """A deep copy, also of a network that keeps activations."""
    return copy.deepcopy(model, _kept_results(model))


def _kept_results(model: nn.Module) -> dict[int, Tensor]:
    """What a network keeps of its last pass, for deepcopy, which cannot copy a result that has a gradient."""
    waiting, found = [value for module in model.modules() for value in vars(module).values()], {}
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor) and not value.is_leaf:
            found[id(value)] = value.detach().clone()
        elif isinstance(value, dict | list | tuple):
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return found


def weighted_layers(model: nn.Module, images: Tensor) -> list[tuple[str, nn.Module]]:
    """Modules that hold weights of their own, in the order in which a pass first runs them."""
    ran: dict[nn.Module, None] = {}
    holders = {module: name for name, module in model.named_modules() if list(module.parameters(recurse=False))}
    if not holders:
        raise ExplanationError("this network has no weights, so there is nothing to draw anew")
    hooks = [module.register_forward_pre_hook(lambda m, _: ran.setdefault(m)) for module in holders]
    try:
        with prepared(model), torch.no_grad():
            model(as_input(model, images[:1]))
    finally:
        for hook in hooks:
            hook.remove()
    # a parameter of a module whose forward is never called, such as a scale of the whole network, goes first
    return [(holders[m], m) for m in [*(m for m in holders if m not in ran), *ran]]


@torch.no_grad()
def _draw_anew(module: nn.Module, generator: torch.Generator) -> None:
    for weight in module.parameters(recurse=False):
        if not weight.is_floating_point():
            continue
        values = weight.float().cpu()
        deviation = values.std() if values.numel() > 1 else values.abs()
        noise = torch.randn(values.shape, generator=generator)
        weight.copy_((values.mean() + deviation * noise).to(weight))
