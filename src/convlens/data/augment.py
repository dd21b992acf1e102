"""Augmentation as whole-batch tensor operations; each picture's draws are a hash of (seed, epoch, index)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.data.draws import uniform
from convlens.errors import UsageError


@dataclass(frozen=True)
class Augment:
    """What is drawn for each training picture.

    flip: mirror left and right, half of the time. shift: up to so many pixels each way, edges repeated.
    zoom: the smallest share of the area that a random crop keeps (1 is off; aspect 3/4 to 4/3, as Szegedy et al. 2014).
    brightness, contrast: largest relative change.
    cutout: side in pixels of a square set to the mean (DeVries and Taylor 2017).
    """

    flip: bool = False
    shift: int = 0
    zoom: float = 1.0
    brightness: float = 0.0
    contrast: float = 0.0
    cutout: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.zoom <= 1:
            raise UsageError(f"zoom came as {self.zoom}; expected a share of the area above 0 and up to 1")
        if min(self.shift, self.cutout, self.brightness, self.contrast) < 0:
            raise UsageError(f"an augmentation cannot be negative; got {self}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Draws:
    """The draws of one batch: `draws("flip")` -> (N,) in [0, 1)."""

    def __init__(self, seed: int, epoch: int, indices: np.ndarray) -> None:
        self.seed, self.epoch, self.indices = seed, epoch, indices

    def __call__(self, name: str) -> Tensor:
        return torch.from_numpy(uniform(self.seed, self.epoch, name, self.indices))


def augment(images: Tensor, ask: Augment, draws: Draws, size: tuple[int, int]) -> Tensor:
    """(N, C, H0, W0) uint8 -> (N, C, H, W) float32 in 0..255."""
    if ask.zoom < 1:
        moved = random_crop(images.float(), ask, draws, size)
    else:
        moved = shift(flip(centre(images, size), ask, draws), ask, draws).float()
    return cutout(light(moved, ask, draws), ask, draws)


def centre(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, H0, W0) -> (N, C, H, W): the middle."""
    top, left = (images.shape[2] - size[0]) // 2, (images.shape[3] - size[1]) // 2
    return images[:, :, top : top + size[0], left : left + size[1]]


def flip(images: Tensor, ask: Augment, draws: Draws) -> Tensor:
    if not ask.flip:
        return images
    mirrored = (draws("flip") < 0.5).view(-1, 1, 1, 1)
    return torch.where(mirrored, images.flip(3), images)


def shift(images: Tensor, ask: Augment, draws: Draws) -> Tensor:
    if not ask.shift:
        return images
    count, _, height, width = images.shape
    reach = ask.shift
    padded = F.pad(images.float(), (reach,) * 4, mode="replicate").to(images.dtype)
    rows = (draws("shift rows") * (2 * reach + 1)).long()
    columns = (draws("shift columns") * (2 * reach + 1)).long()
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (N, C, 2r+1, 2r+1, H, W), a view
    return windows[torch.arange(count), :, rows, columns]


def random_crop(images: Tensor, ask: Augment, draws: Draws, size: tuple[int, int]) -> Tensor:
    """A box of `zoom` to all of the area, anywhere, resized bilinearly; the flip costs nothing here."""
    area = ask.zoom + (1 - ask.zoom) * draws("area")
    aspect = torch.exp((draws("aspect") * 2 - 1) * np.log(4 / 3))
    height, width = (area / aspect).sqrt().clamp(max=1), (area * aspect).sqrt().clamp(max=1)  # shares of the side
    across = (draws("left") * 2 - 1) * (1 - width)
    down = (draws("top") * 2 - 1) * (1 - height)
    mirror = torch.where(draws("flip") < 0.5, -1.0, 1.0) if ask.flip else torch.ones_like(area)
    zero = torch.zeros_like(area)
    matrix = torch.stack([width * mirror, zero, across, zero, height, down], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, [len(images), images.shape[1], *size], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def light(images: Tensor, ask: Augment, draws: Draws) -> Tensor:
    if ask.contrast:
        factor = 1 + ask.contrast * (draws("contrast") * 2 - 1).view(-1, 1, 1, 1)
        middle = images.mean(dim=(1, 2, 3), keepdim=True)
        images = middle + (images - middle) * factor
    if ask.brightness:
        images = images * (1 + ask.brightness * (draws("brightness") * 2 - 1).view(-1, 1, 1, 1))
    return images.clamp(0, 255) if ask.contrast or ask.brightness else images


def cutout(images: Tensor, ask: Augment, draws: Draws) -> Tensor:
    if not ask.cutout:
        return images
    _, _, height, width = images.shape
    top = (draws("cutout top") * height).view(-1, 1, 1, 1) - ask.cutout / 2
    left = (draws("cutout left") * width).view(-1, 1, 1, 1) - ask.cutout / 2
    rows, columns = torch.arange(height).view(1, 1, -1, 1), torch.arange(width).view(1, 1, 1, -1)
    inside = (rows >= top) & (rows < top + ask.cutout) & (columns >= left) & (columns < left + ask.cutout)
    return torch.where(inside, images.mean(dim=(2, 3), keepdim=True), images)
