"""Grad-CAM (Selvaraju et al., 2017), https://arxiv.org/abs/1610.02391.

Equations 1 and 2: every feature map is weighted by the mean gradient of the score over it; the sum goes through a ReLU.
Zero and up: only evidence *for* the target is shown. The score is the logit, before any softmax.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from convlens.explanation.layer_gradient import layer_gradient
from convlens.explanation.question import Question


def grad_cam(question: Question) -> Tensor:
    """(N, C, H, W) -> (N, h, w) of the layer's feature maps."""
    activation, gradient = layer_gradient(question)
    return F.relu((gradient.mean((2, 3), keepdim=True) * activation).sum(1))
