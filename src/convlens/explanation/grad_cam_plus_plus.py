"""Grad-CAM++ (Chattopadhyay et al., 2018), https://arxiv.org/abs/1710.11063.

Equations 10, 19 and 20. For a score Y = exp(S), S the logit, all derivatives of Y are powers of the gradient g of S:
each position of feature map A gets the weight

    alpha = g² / (2 g² + sum(A) g³)        0 where g is 0

and the map the weight sum(alpha · relu(g)), so that several small objects count as much as one large one. exp(S) itself
scales the whole map of a picture and is left out. Equation 19 may have any sign below the line; as is, a denominator of
zero gives no weight.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from convlens.explanation.layer_gradient import layer_gradient
from convlens.explanation.question import Question


def grad_cam_plus_plus(question: Question) -> Tensor:
    """(N, C, H, W) -> (N, h, w)."""
    activation, gradient = layer_gradient(question)
    square = gradient**2
    below = 2 * square + activation.sum((2, 3), keepdim=True) * square * gradient
    alpha = torch.where(below == 0, torch.zeros_like(below), square / torch.where(below == 0, 1, below))
    weights = (alpha * F.relu(gradient)).sum((2, 3), keepdim=True)
    return F.relu((weights * activation).sum(1))
