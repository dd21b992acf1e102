"""Guided back-propagation and the deconvolutional network: gradients that pass a gate only where they are positive.

Springenberg, Dosovitskiy, Brox and Riedmiller 2014, https://arxiv.org/abs/1412.6806; Zeiler and Fergus 2013,
https://arxiv.org/abs/1311.2901. The rules at each gate stand in `gates`. Sharp pictures of what a class may look at,
but both are known to depend little on the upper layers (Adebayo et al. 2018): mind the sanity check beside the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from convlens.errors import ExplanationError
from convlens.explanation.constants import Constants
from convlens.explanation.gates import change_gates
from convlens.explanation.question import Question
from convlens.graph.handing_over import HandingOver


class CircularPaddingJoined(TorchFunctionMode):
    """Circular padding as a concatenation: torch writes it into parts of a new tensor, where gates could hide."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | (kwargs or {})
        padded = function(*args, **(kwargs or {}))  # or torch's own words of what it does not take
        is_circular = function is F.pad and given.get("mode") == "circular" and min(given["pad"]) >= 0
        return _joined(given["input"], given["pad"]) if is_circular else padded


def _joined(images: Tensor, pad: Sequence[int]) -> Tensor:
    """`pad` as F.pad takes it: before and after, the last dimension first."""
    for place, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        dim = images.ndim - 1 - place
        size = images.shape[dim]
        images = torch.cat([images.narrow(dim, size - before, before), images, images.narrow(dim, 0, after)], dim)
    return images


def guided(question: Question, *, rule: str = "exact") -> Tensor:
    """(N, C, H, W) -> the same shape, signed."""
    return _through_gates(question, "guided", rule)


def deconv(question: Question, *, rule: str = "exact") -> Tensor:
    """(N, C, H, W) -> the same shape, signed."""
    return _through_gates(question, "deconv", rule)


def _through_gates(question: Question, method: str, rule: str) -> Tensor:
    if any(isinstance(module, torch.jit.ScriptModule) for module in question.model.modules()):
        raise ExplanationError(
            f"{method} cannot see the gates inside TorchScript, which differentiates by itself; give the network that "
            "was scripted or traced, or use method saliency or integrated_gradients"
        )
    images = question.images.requires_grad_()
    constants = Constants(images, question.model)
    with CircularPaddingJoined(), HandingOver(constants.handed_over), constants:
        score = question.score(images.clone())
    if score.grad_fn is None:
        return question.gradient(score, images)  # which says why there is none
    change_gates(score, method, rule, constants)
    return question.gradient(score, images)
