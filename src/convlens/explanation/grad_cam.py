"""Grad-CAM (Selvaraju et al., 2017), https://arxiv.org/abs/1610.02391.

Equations 1 and 2: every feature map is weighted by the mean gradient of the score over it; the sum goes through a ReLU.
Zero and up: only evidence *for* the target is shown. The score is the logit, before any softmax.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from convlens.explanation.preparation import only, replace_output
from convlens.explanation.question import Question


def grad_cam(question: Question) -> Tensor:
    """(N, C, H, W) -> (N, H, W), upsampled bilinearly from the layer's feature maps."""
    assert question.layer is not None
    with replace_output(question.model, question.layer) as taken:
        score = question.target.score(question.model(question.images))
    activation = only(taken, question.layer, len(question.images))  # (N, channels, h, w)
    weights = question.gradient(score, activation).mean((2, 3), keepdim=True)
    cam = F.relu((weights * activation.detach()).sum(1, keepdim=True))
    with torch.no_grad():
        return F.interpolate(cam.float(), question.images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
