"""Class activation mapping (Zhou et al., 2016), https://arxiv.org/abs/1512.04150.

Equations 1 and 2: where global average pooling and one linear layer follow, the score is sum over maps k of
w_k · mean(A_k) + bias, and the map is sum of w_k · A_k: its mean is the score but for the bias. Signed: what speaks
against the class is negative.

Whether only a mean and a linear layer follow is seen from the gradient: it must be the same at all positions, and the
same whatever the feature maps are.
"""

from __future__ import annotations

from torch import Tensor

from convlens.errors import ExplanationError
from convlens.explanation.layer_gradient import features_and_score
from convlens.explanation.question import Question, precise

TOLERANCE = 1e-4  # of the largest weight


def cam(question: Question) -> Tensor:
    """(N, C, H, W) -> (N, h, w)."""
    activation, score = features_and_score(question)
    gradient = precise(question.gradient(score, activation))
    _check_linear(question, activation.detach(), gradient)
    weights = gradient.sum((2, 3), keepdim=True)
    return (weights * precise(activation.detach())).sum(1)


def _check_linear(question: Question, activation: Tensor, gradient: Tensor) -> None:
    other, score = features_and_score(question, lambda maps: -0.5 * maps - maps.abs().mean() - 0.1)
    elsewhere = precise(question.gradient(score, other))
    bound = TOLERANCE * float(gradient.abs().max())
    if gradient.dtype != activation.dtype:
        bound *= 100  # of a network in half precision
    spread = gradient - gradient.mean((2, 3), keepdim=True)
    if max(float(each.abs().max()) for each in (spread, gradient - elsewhere)) > bound:
        raise ExplanationError(
            f"CAM is defined where global average pooling and one linear layer follow, and after layer "
            f"'{question.layer}' comes more; use method grad_cam, which is CAM where CAM is defined, or name another "
            "layer"
        )
