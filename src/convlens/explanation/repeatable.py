"""Does a network answer each picture by itself, and the same each time? Else a map would show chance.

It is asked, once for each network, with a picture alone, three times, and beside another, twice: neither its modules
nor its graph tell of one that overrides `train`, draws from NumPy or is TorchScript. The graph only names the operation
that may be to blame. Not seen is chance that seldom comes up.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from convlens.errors import ExplanationError, NetworkError
from convlens.explanation.memory import remembered, traced
from convlens.graph import Node

CHANCE = 1e-3  # of the largest logit: at each pass the same sums may be ordered otherwise
COARSE = 3e-2  # the same in half precision
NEIGHBOURS = 0.1  # layers that quantise what they read take one scale for a batch


def check_repeatable(model: nn.Module, images: Tensor) -> None:
    """Raises ExplanationError for a network, in evaluation mode, that draws at random or mixes its pictures."""
    try:
        problem = remembered(model, images, "repeatable", lambda: _problem(model, images[:1]))
    except _NoLogits:
        return  # whoever needs them says what is wrong
    if problem:
        raise ExplanationError(problem)


class _NoLogits(Exception):
    pass


def _problem(model: nn.Module, image: Tensor) -> str:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        alone = [_logits(model, image) for _ in range(3)]
        beside = [_logits(model, torch.cat([image, -image])) for _ in range(2)]
    share = CHANCE if alone[0].dtype in (torch.float32, torch.float64) else COARSE
    if any(_differ(alone[0], other, share) for other in alone[1:]) or _differ(beside[0], beside[1], share):
        return (
            f"this network draws at random at every pass, in evaluation mode too{_where(model, image, _may_draw)}, so "
            "that a map would show chance; give its dropout training=self.training, or take the noise away"
        )
    if _differ(alone[0], beside[0][:1], NEIGHBOURS):
        return (
            "what this network says of a picture hangs on the others of its batch, in evaluation mode too"
            f"{_where(model, image, _takes_statistics)}, so that a picture has no map of its own; let its batch norms "
            "keep running statistics"
        )
    return ""


def _may_draw(node: Node) -> bool:
    return node.may_draw


def _takes_statistics(node: Node) -> bool:
    return "batch_norm" in node.op and bool(node.arguments.get("training", True)) and "no_training" not in node.op


def _where(model: nn.Module, image: Tensor, blamed: Callable[[Node], bool]) -> str:
    try:
        node = next(node for node in traced(model, image).nodes if blamed(node))
    except (NetworkError, StopIteration):
        return ""
    return f" ({node.op} in '{node.module}')" if node.module else f" ({node.op})"


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    try:
        logits = model(images.clone())
    except Exception as error:
        raise _NoLogits from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images):
        raise _NoLogits
    return logits


def _differ(one: Tensor, other: Tensor, share: float) -> bool:
    return bool((one - other).abs().max() > share * one.abs().max())
