"""LayerCAM (Jiang et al., 2021), https://ieeexplore.ieee.org/document/9462463.

Equations 5 to 7: every position of every feature map is weighted by its own positive gradient. Where Grad-CAM has one
weight a map, this stays sharp at early layers too.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from convlens.explanation.layer_gradient import layer_gradient
from convlens.explanation.question import Question


def layer_cam(question: Question) -> Tensor:
    """(N, C, H, W) -> (N, h, w)."""
    activation, gradient = layer_gradient(question)
    return F.relu((F.relu(gradient) * activation).sum(1))
