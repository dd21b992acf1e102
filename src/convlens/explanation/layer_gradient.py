"""The feature maps of a layer and the score's gradient by them: what the CAM family is made of.

The graph is built only from the layer up; below it the pass keeps nothing.
"""

from __future__ import annotations

from torch import Tensor

from convlens.explanation.preparation import Change, only, replace_output
from convlens.explanation.question import Question, precise


def layer_gradient(question: Question) -> tuple[Tensor, Tensor]:
    """-> (feature maps, gradients), both (N, channels, h, w), in float32 or float64."""
    activation, score = features_and_score(question)
    return precise(activation.detach()), precise(question.gradient(score, activation))


def features_and_score(question: Question, change: Change | None = None) -> tuple[Tensor, Tensor]:
    """-> (feature maps (N, channels, h, w), where the graph begins, and the scores (N,), where it ends).

    `change` makes other feature maps of those that the layer gives.
    """
    assert question.layer is not None
    with replace_output(question.model, question.layer, question.images, change) as taken:
        score = question.score(question.images.clone())  # it may begin in place
    return only(taken, question.layer, len(question.images)), score
