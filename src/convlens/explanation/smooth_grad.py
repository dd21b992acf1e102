"""SmoothGrad (Smilkov et al., 2017), https://arxiv.org/abs/1706.03825: the mean gradient of noisy copies of a picture.

Section 3: normal noise whose deviation is a share of the picture's range, the same noise for every picture.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convlens.errors import UsageError
from convlens.explanation.question import Question


def smooth_grad(question: Question, *, samples: int = 25, noise: float = 0.15, seed: int = 0) -> Tensor:
    """(N, C, H, W) -> the mean gradient, of the same shape, signed."""
    if samples < 1 or noise < 0:
        raise UsageError(f"samples came as {samples} and noise as {noise}; expected 1 or more, and 0 or more")
    images = question.images
    deviation = noise * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    drawn = torch.Generator().manual_seed(seed)
    question.settle()
    total = torch.zeros(images.shape, dtype=torch.float32, device=images.device)
    for count in question.in_turns(samples):
        each = [torch.randn((1, *images.shape[1:]), generator=drawn) for _ in range(count)]  # the same in any turn
        noises = torch.stack(each).to(images)
        total += question.gradients_of(images + deviation * noises).float().sum(0)
    return total / samples
