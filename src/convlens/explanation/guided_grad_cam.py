"""Guided Grad-CAM (Selvaraju et al., 2017, section 3.2): guided back-propagation times Grad-CAM, pixel by pixel."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F

from convlens.explanation.grad_cam import grad_cam
from convlens.explanation.guided import guided
from convlens.explanation.question import Question


def guided_grad_cam(question: Question, *, rule: str = "exact") -> Tensor:
    """(N, C, H, W) -> the same shape, signed."""
    coarse = grad_cam(question)
    where = F.interpolate(coarse[:, None], question.images.shape[2:], mode="bilinear", align_corners=False)
    return guided(replace(question, images=question.images.clone()), rule=rule) * where
