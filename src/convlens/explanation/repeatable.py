"""Does a network answer each picture by itself, and the same each time? Else a map would show chance.

What may break it is seen in the graph: operations that draw at random, and batch norms with the statistics of the
batch. Whether it does is asked of the network, on one picture: torch marks some operations as random that are not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convlens.errors import ExplanationError, NetworkError
from convlens.explanation.memory import traced
from convlens.graph import Node

TOLERANCE = 1e-3  # of the largest logit; in another batch sums may be ordered otherwise
COARSE = 3e-2  # the same in half precision


def check_repeatable(model: nn.Module, images: Tensor) -> None:
    """Raises ExplanationError for a network, in evaluation mode, that draws at random or mixes its pictures."""
    try:
        nodes = traced(model, images).nodes
    except NetworkError:
        return  # whoever needs the graph says what is wrong
    with torch.random.fork_rng(devices=[]):
        _check_chance(model, images[:1], nodes)
    _check_batch(model, images[:1], nodes)


def _check_chance(model: nn.Module, image: Tensor, nodes: Sequence[Node]) -> None:
    drawing = next((node for node in nodes if node.may_draw), None)
    if drawing is not None and _differ(_logits(model, image), _logits(model, image)):
        raise ExplanationError(
            f"this network draws at random at every pass, in evaluation mode too ({_where(drawing)}), so that a map "
            "would show chance; give its dropout training=self.training, or take the noise away"
        )


def _check_batch(model: nn.Module, image: Tensor, nodes: Sequence[Node]) -> None:
    mixing = next((node for node in nodes if _takes_statistics(node)), None)
    if mixing is None:
        return
    beside = _logits(model, torch.cat([image, -image]))
    if _differ(_logits(model, image), None if beside is None else beside[:1]):
        raise ExplanationError(
            f"what this network says of a picture hangs on the others of its batch, in evaluation mode too "
            f"({_where(mixing)}), so that a picture has no map of its own; let its batch norms keep running statistics"
        )


def _takes_statistics(node: Node) -> bool:
    """Instance norms are among them: torch computes them as a batch norm whose channels are those of all pictures."""
    return "batch_norm" in node.op and bool(node.arguments.get("training", True)) and "no_training" not in node.op


def _where(node: Node) -> str:
    return f"{node.op} in '{node.module}'" if node.module else node.op


def _logits(model: nn.Module, images: Tensor) -> Tensor | None:
    with torch.no_grad():
        logits = model(images.clone())
    return logits if isinstance(logits, Tensor) and logits.ndim == 2 else None


def _differ(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:  # whoever asks for the logits says what is wrong
        return False
    share = TOLERANCE if one.dtype in (torch.float32, torch.float64) else COARSE
    return bool((one - other).abs().max() > share * one.abs().max())
