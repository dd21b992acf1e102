"""Test-time augmentation: a network's logits as their mean over several views of a picture.

mirror          the picture and its mirror image (Krizhevsky et al. 2012, section 4.1, takes both of each crop): 2 views
mirror_shifts   that for one half, and for the other the same of the picture moved by a pixel to the lower right and to
                the upper left, its border reflected (Jordan 2024, https://arxiv.org/abs/2404.00498): 6 views
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.errors import UsageError, unknown_name

TTA = ("none", "mirror", "mirror_shifts")


def check_tta(tta: str) -> None:
    """UsageError for a name that is not there."""
    if tta not in TTA:
        raise unknown_name("test-time augmentation", tta, TTA, f"choose {', '.join(TTA)}")


def with_views(network: nn.Module, tta: str) -> nn.Module:
    """The network that answers with the mean over the views of `tta`."""
    check_tta(tta)
    return network if tta == "none" else ManyViews(network, shifts=tta == "mirror_shifts")


class ManyViews(nn.Module):
    """(N, C, H, W) -> (N, K): two passes of `network`, or six with `mirror_shifts`."""

    def __init__(self, network: nn.Module, *, shifts: bool) -> None:
        super().__init__()
        self.network, self.shifts = network, shifts

    def forward(self, images: Tensor) -> Tensor:
        middle = self._both(images)
        if not self.shifts:
            return middle
        height, width = images.shape[2:]
        if min(height, width) < 2:
            raise UsageError(
                f"mirror_shifts needs pictures of 2×2 px at least, these have {height}×{width}; take mirror"
            )
        padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
        return middle / 2 + (self._both(padded[:, :, :height, :width]) + self._both(padded[:, :, 2:, 2:])) / 4

    def _both(self, images: Tensor) -> Tensor:
        return (self._logits(images) + self._logits(images.flip(3))) / 2

    def _logits(self, images: Tensor) -> Tensor:
        """In float32 at least: a mean of half floats would lose digits."""
        logits: Tensor = self.network(images)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))
