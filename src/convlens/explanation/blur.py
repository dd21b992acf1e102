"""Gaussian blur of a batch of pictures."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def blurred(images: Tensor, deviation: float) -> Tensor:
    """(N, C, H, W), `deviation` in pixels -> the same shape; beyond the edge a picture is mirrored."""
    if deviation <= 0:
        return images
    return _along(_along(images, deviation, 2), deviation, 3)


def _along(images: Tensor, deviation: float, dim: int) -> Tensor:
    reach = min(round(3 * deviation), images.shape[dim] - 1)
    places = torch.arange(-reach, reach + 1, dtype=torch.float32, device=images.device)
    kernel = torch.exp(-0.5 * (places / deviation) ** 2)
    shape = (-1, 1) if dim == 2 else (1, -1)
    weight = (kernel / kernel.sum()).reshape(1, 1, *shape).expand(images.shape[1], -1, -1, -1).to(images)
    border = (0, 0, reach, reach) if dim == 2 else (reach, reach, 0, 0)
    return F.conv2d(F.pad(images, border, mode="reflect"), weight, groups=images.shape[1])
