"""Saliency: the gradient of the score by the pixels (Simonyan, Vedaldi and Zisserman, 2013), https://arxiv.org/abs/1312.6034.

Section 3: the largest absolute value over the colour channels. Zero and up; it says how strongly a pixel matters, not
in which direction. Times the pixels it is gradient × input (Shrikumar et al. 2016, https://arxiv.org/abs/1605.01713),
what each would add if the network were linear.
"""

from __future__ import annotations

from torch import Tensor

from convlens.explanation.question import Question


def saliency(question: Question) -> Tensor:
    """(N, C, H, W) -> the same shape, signed."""
    images = question.images.requires_grad_()
    # a copy, so that a network that begins with an in-place operation may
    return question.gradient(question.score(images.clone()), images)


def gradient_input(question: Question) -> Tensor:
    """(N, C, H, W) -> the same shape, signed."""
    return saliency(question) * question.images.detach()
