"""Integrated gradients (Sundararajan, Taly and Yan, 2017), https://arxiv.org/abs/1703.01365.

Equation 1: the picture's difference from a baseline times the mean gradient on the straight way between the two. The
integral is taken by Gauss and Legendre's rule, exact for polynomials up to degree 2 · steps - 1, step by step in as
few passes as memory allows. What all pixels get adds up to score(picture) - score(baseline) (completeness).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from convlens.errors import UsageError
from convlens.explanation.question import Question


def integrated_gradients(question: Question, *, steps: int = 50, baseline: float = 0.0) -> Tensor:
    """(N, C, H, W) -> attributions of the same shape, signed.

    `baseline` is the value of every pixel where the way begins, in the network's units: 0 is the mean of the training
    pictures, where these were normalised.
    """
    if steps < 1:
        raise UsageError(f"steps came as {steps}; expected 1 or more")
    images = question.images
    places, weights = np.polynomial.legendre.leggauss(steps)
    digits = torch.promote_types(images.dtype, torch.float32)
    ways, shares = (torch.as_tensor(each / 2, dtype=digits) for each in (1 + places, weights))
    difference = images - baseline
    question.settle()
    total = torch.zeros(images.shape, dtype=digits, device=images.device)
    start = 0
    for count in question.in_turns(steps):
        way, share = (each[start : start + count, None, None, None, None].to(images.device) for each in (ways, shares))
        gradients = question.gradients_of(baseline + way.to(images) * difference)
        total += (share * gradients.to(digits)).sum(0)
        start += count
    return total * difference.to(digits)
