"""Class activation mapping (Zhou et al., 2016), https://arxiv.org/abs/1512.04150.

Equations 1 and 2: where global average pooling and one linear layer follow, the score is sum over maps k of
w_k · mean(A_k) + bias, and the map is sum of w_k · A_k: its mean is the score but for the bias. Signed: what speaks
against the class is negative.

Whether only a mean and a linear layer follow is seen from the gradient: it must be the same at all positions, and the
same whatever the feature maps are. Whether all of the score comes through these maps, and nothing goes around them, is
seen from the bias: it must be the same for another picture.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from convlens.errors import ExplanationError
from convlens.explanation.layer_gradient import features_and_score
from convlens.explanation.question import Question, precise

TOLERANCE = 1e-4  # of the largest weight


def cam(question: Question) -> Tensor:
    """(N, C, H, W) -> (N, h, w)."""
    activation, score = features_and_score(question)
    gradient = precise(question.gradient(score, activation))
    bound = TOLERANCE if gradient.dtype == activation.dtype else 100 * TOLERANCE  # of a network in half precision
    _check_linear(question, gradient, bound)
    terms = gradient * precise(activation.detach())
    _check_whole(question, terms, score, bound)
    weights = gradient.sum((2, 3), keepdim=True)
    return (weights * precise(activation.detach())).sum(1)


def _check_linear(question: Question, gradient: Tensor, bound: float) -> None:
    other, score = features_and_score(question, lambda maps: -0.5 * maps - maps.abs().mean() - 0.1)
    elsewhere = precise(question.gradient(score, other))
    spread = gradient - gradient.mean((2, 3), keepdim=True)
    if max(float(each.abs().max()) for each in (spread, gradient - elsewhere)) > bound * float(gradient.abs().max()):
        raise ExplanationError(
            f"CAM is defined where global average pooling and one linear layer follow, and after layer "
            f"'{question.layer}' comes more; use method grad_cam, which is CAM where CAM is defined, or name another "
            "layer"
        )


def _check_whole(question: Question, terms: Tensor, score: Tensor, bound: float) -> None:
    """What `terms` (N, channels, h, w) leave of the score is the bias."""
    fainter = replace(question, images=0.5 * question.images + 0.1)
    other, its_score = features_and_score(fainter)
    its_terms = precise(question.gradient(its_score, other)) * precise(other.detach())
    left, its_left = (
        precise(whole.detach()) - each.sum((1, 2, 3)) for whole, each in ((score, terms), (its_score, its_terms))
    )
    size = sum(each.abs().sum((1, 2, 3)) for each in (terms, its_terms)) + left.abs()
    if bool(((left - its_left).abs() > bound * size).any()):
        raise ExplanationError(
            f"CAM is defined where the whole score comes through the layer, and a part of it goes around "
            f"'{question.layer}'; name the layer where the ways meet, or use method grad_cam"
        )
