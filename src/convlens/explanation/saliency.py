"""Saliency: the gradient of the score by the pixels (Simonyan, Vedaldi and Zisserman, 2013), https://arxiv.org/abs/1312.6034.

Section 3: the largest absolute value over the colour channels. Zero and up; it says how strongly a pixel matters, not
in which direction.
"""

from __future__ import annotations

from torch import Tensor

from convlens.explanation.question import Question


def saliency(question: Question) -> Tensor:
    """(N, C, H, W) -> (N, H, W)."""
    images = question.images.requires_grad_()
    # a copy, so that a network that begins with an in-place operation may
    score = question.target.score(question.model(images.clone()))
    return question.gradient(score, images).abs().amax(1)
