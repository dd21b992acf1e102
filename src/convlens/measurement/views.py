"""Test-time augmentation: a network's logits as their mean over several views of a picture.

mirror          the picture and its mirror image (Krizhevsky et al. 2012, section 4.1, takes both of each crop): 2 views
mirror_shifts   that for one half, and for the other the same of the picture moved by a pixel to the lower right and to
                the upper left, its border reflected (Jordan 2024, https://arxiv.org/abs/2404.00498): 6 views
ten_crop        corners, centre and the mirror images of these, cut from a picture of 8/7 of the side (256 px for 224);
                the mean of their probabilities, not of their logits (Krizhevsky et al. 2012, section 4.1; "standard
                10-crop testing" of He et al. 2015, section 4.1): 10 views
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.errors import UsageError, unknown_name
from convlens.pictures import Preprocess

TTA = ("none", "mirror", "mirror_shifts", "ten_crop")
FRAME = 0.875  # of a side: the crops that ten_crop cuts


def check_tta(tta: str) -> None:
    """UsageError for a name that is not there."""
    if tta not in TTA:
        raise unknown_name("test-time augmentation", tta, TTA, f"choose {', '.join(TTA)}")


def with_views(network: nn.Module, tta: str, size: tuple[int, int]) -> nn.Module:
    """The network that answers with the mean over the views of `tta`; `size` is what it reads itself, (height, width).

    It takes pictures as `framed` makes them.
    """
    check_tta(tta)
    if tta == "ten_crop":
        return TenCrops(network, size)
    return network if tta == "none" else ManyViews(network, shifts=tta == "mirror_shifts")


def framed(preprocess: Preprocess, tta: str) -> Preprocess:
    """The preprocessing of the pictures from which views are taken: larger where crops are cut from them."""
    check_tta(tta)
    if tta != "ten_crop":
        return preprocess
    height, width = (round(side / FRAME) for side in preprocess.size)
    return replace(preprocess, size=(height, width), crop_ratio=1.0)


class TenCrops(nn.Module):
    """(N, C, H, W) -> (N, K): logarithms of the mean probabilities of ten crops of `size`."""

    def __init__(self, network: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.size = network, size

    def forward(self, images: Tensor) -> Tensor:
        height, width = self.size
        down, right = images.shape[2] - height, images.shape[3] - width
        corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
        crops = [images[:, :, top : top + height, left : left + width] for top, left in corners]
        views = [view for crop in crops for view in (crop, crop.flip(3))]
        shares = [torch.softmax(in_full(self.network(view.contiguous())), dim=1) for view in views]
        mean = torch.stack(shares).mean(dim=0)
        return mean.clamp_min(torch.finfo(mean.dtype).tiny).log()


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
        return in_full(self.network(images))


def in_full(logits: Tensor) -> Tensor:
    """In float32 at least: a mean of half floats would lose digits."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
