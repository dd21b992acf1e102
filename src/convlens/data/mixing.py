"""Two pictures in one: mixup (Zhang et al. 2017) and CutMix (Yun et al. 2019), and the labels of both.

As in the papers' code, a batch is mixed with itself in another order, at one share: draws of (seed, step).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.data.draws import CPU

Box = tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True)
class Mixture:
    """How a batch is mixed: `partners` (B,) in its own order; `share` is the first picture's, or `box` the other's."""

    partners: Tensor
    share: float
    box: Box | None = None


def draw_mixture(
    mixup: float, cutmix: float, *, seed: int, shape: tuple[int, ...], device: torch.device = CPU
) -> Mixture | None:
    """A share of Beta(alpha, alpha), `mixup` and `cutmix` being the alphas; of both, either one half of the time."""
    if not mixup and not cutmix:
        return None
    draw = np.random.default_rng(seed)
    cut = bool(draw.random() < 0.5) if mixup and cutmix else bool(cutmix)
    alpha = cutmix if cut else mixup
    share = float(draw.beta(alpha, alpha))
    partners = torch.from_numpy(draw.permutation(shape[0])).to(device, non_blocking=True)
    if not cut:
        return Mixture(partners, share)
    height, width = shape[2:]
    box = box_of(1 - share, (height, width), (draw.random(), draw.random()))
    return Mixture(partners, 1 - area(box) / (height * width), box)


def box_of(share: float, size: tuple[int, int], middle: tuple[float, float]) -> Box:
    """A box of so much of the area, of the picture's shape, about `middle` (0..1 each), cut off at the edges."""
    (top, bottom), (left, right) = (
        (max(0, int(at * side - reach)), min(side, int(at * side + reach)))
        for at, side, reach in ((at, side, side * share**0.5 / 2) for at, side in zip(middle, size, strict=True))
    )
    return top, left, bottom, right


def area(box: Box) -> int:
    top, left, bottom, right = box
    return (bottom - top) * (right - left)


def mixed(images: Tensor, mixture: Mixture) -> Tensor:
    """(B, C, H, W) -> the same shape."""
    if mixture.box is None:
        return torch.lerp(images.index_select(0, mixture.partners), images, mixture.share)
    top, left, bottom, right = mixture.box
    pasted = images.clone()
    pasted[:, :, top:bottom, left:right] = images[:, :, top:bottom, left:right].index_select(0, mixture.partners)
    return pasted


def soft_labels(labels: Tensor, mixture: Mixture, num_classes: int) -> Tensor:
    """(B,) int64 -> (B, K) float32, each row of sum 1."""
    hard = F.one_hot(labels, num_classes).float()
    return torch.lerp(hard.index_select(0, mixture.partners), hard, mixture.share)
