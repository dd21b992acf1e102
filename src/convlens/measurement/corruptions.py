"""Pictures turned, scaled, moved, blurred, made noisy, compressed and covered: what may a network see differently?

After Hendrycks and Dietterich 2019 (Benchmarking Neural Network Robustness to Common Corruptions and Perturbations),
https://arxiv.org/abs/1903.12261, and, for occlusion, Zeiler and Fergus 2013, https://arxiv.org/abs/1311.2901, figure 5.
What comes into a picture from outside is its own reflection. Directions, noise and places are drawn for each picture,
from the seed, alike for every level.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from convlens.errors import UsageError, unknown_name

Change = Callable[[Tensor, float, torch.Generator], Tensor]


@dataclass(frozen=True)
class Corruption:
    """`levels` begin with the one that changes least, nothing where that can be; `unit` is what they count."""

    name: str
    unit: str
    levels: tuple[float, ...]
    change: Change

    def __call__(self, pixels: Tensor, level: float, *, seed: int = 0) -> Tensor:
        """(N, C, H, W) uint8 -> the same shape and type."""
        if pixels.dtype != torch.uint8 or pixels.ndim != 4:
            raise UsageError(f"pixels came as {pixels.dtype} of {tuple(pixels.shape)}; expected uint8 (N, C, H, W)")
        drawn = torch.Generator().manual_seed(seed)
        return self.change(pixels, level, drawn).round().clamp(0, 255).to(torch.uint8)


def warped(pixels: Tensor, matrices: Tensor) -> Tensor:
    """(N, 2, 3): where each output point lies in the input, both in -1 to 1, of each picture."""
    values = pixels.float()
    grid = F.affine_grid(matrices, list(values.shape), align_corners=False)
    return F.grid_sample(values, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _signs(count: int, drawn: torch.Generator) -> Tensor:
    return torch.randint(0, 2, (count,), generator=drawn) * 2.0 - 1.0


def _rotation(pixels: Tensor, degrees: float, drawn: torch.Generator) -> Tensor:
    """To either side."""
    return rotated(pixels, math.radians(degrees) * _signs(len(pixels), drawn))


def rotated(pixels: Tensor, angle: Tensor) -> Tensor:
    """(N,) radians, each picture by its own, against the clock."""
    stretch = pixels.shape[3] / pixels.shape[2]  # the points are in shares of each side
    cos, sin, nought = angle.cos(), angle.sin(), torch.zeros(len(pixels))
    rows = [torch.stack([cos, -sin / stretch, nought], 1), torch.stack([sin * stretch, cos, nought], 1)]
    return warped(pixels, torch.stack(rows, 1))


def _scale(pixels: Tensor, factor: float, _: torch.Generator) -> Tensor:
    matrix = torch.tensor([[1 / factor, 0, 0], [0, 1 / factor, 0]], dtype=torch.float32)
    return warped(pixels, matrix.expand(len(pixels), 2, 3))


def _shift(pixels: Tensor, share: float, drawn: torch.Generator) -> Tensor:
    """In any direction, by a share of the sides."""
    direction = 2 * math.pi * torch.rand(len(pixels), generator=drawn)
    return shifted(pixels, -share * torch.stack([direction.cos(), direction.sin()], 1))


def shifted(pixels: Tensor, shares: Tensor) -> Tensor:
    """(N, 2): each picture to the right and down, in shares of its sides."""
    still = torch.eye(2).expand(len(pixels), 2, 2)
    return warped(pixels, torch.cat([still, -2 * shares[:, :, None]], 2))  # a side is 2 long


def _blur(pixels: Tensor, share: float, _: torch.Generator) -> Tensor:
    """By a Gaussian, its deviation a share of the short side."""
    deviation = share * min(pixels.shape[2:])
    if deviation == 0:
        return pixels.float()
    reach = min(max(1, math.ceil(3 * deviation)), min(pixels.shape[2:]) - 1)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
    taps = (taps / taps.sum()).view(1, 1, -1)
    planes = F.pad(pixels.float(), (reach,) * 4, mode="reflect").flatten(0, 1)[:, None]
    blurred = F.conv2d(F.conv2d(planes, taps[:, :, None]), taps[:, :, :, None])
    return blurred.view_as(pixels)


def _noise(pixels: Tensor, deviation: float, drawn: torch.Generator) -> Tensor:
    """Gaussian, independent in every channel of every pixel, in levels of 255."""
    return pixels + deviation * torch.randn(pixels.shape, generator=drawn)


def _jpeg(pixels: Tensor, quality: float, _: torch.Generator) -> Tensor:
    """Written and read again, colours at half the resolution as is usual."""
    pictures = pixels.permute(0, 2, 3, 1).numpy()
    read = []
    for picture in pictures:
        written = BytesIO()
        Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(
            written, "JPEG", quality=int(quality), subsampling=2
        )
        read.append(np.asarray(Image.open(written)).reshape(picture.shape))
    return torch.from_numpy(np.stack(read)).permute(0, 3, 1, 2).float()


def _occlusion(pixels: Tensor, share: float, drawn: torch.Generator) -> Tensor:
    """A grey square over a share of the area, anywhere within the picture."""
    count, _, height, width = pixels.shape
    sides = [round(math.sqrt(share) * side) for side in (height, width)]
    inside = []
    for side, covered in zip((height, width), sides, strict=True):
        first = (torch.rand(count, generator=drawn) * (side - covered + 1)).long()
        place = torch.arange(side)
        inside.append((place >= first[:, None]) & (place < first[:, None] + covered))
    rows, columns = inside
    return pixels.float().masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 127.5)


def of_percent(change: Change) -> Change:
    return lambda pixels, level, drawn: change(pixels, level / 100, drawn)


# fmt: off
CORRUPTIONS = {
    one.name: one
    for one in (
        Corruption("rotation",  "degrees",                  (0, 10, 20, 30, 45, 60, 90, 180),  _rotation),
        Corruption("scale",     "times as large",           (1, 0.5, 0.7, 0.85, 1.2, 1.5, 2),  _scale),
        Corruption("shift",     "% of the side",            (0, 5, 10, 15, 20, 30),            of_percent(_shift)),
        Corruption("blur",      "deviation, % of the side", (0, 0.5, 1, 2, 3, 5),              of_percent(_blur)),
        Corruption("noise",     "deviation, levels of 255", (0, 8, 16, 32, 64, 96),            _noise),
        Corruption("jpeg",      "quality",                  (95, 75, 50, 25, 10, 5),           _jpeg),
        Corruption("occlusion", "% of the area covered",    (0, 5, 10, 20, 35, 50),            of_percent(_occlusion)),
    )
}
# fmt: on


def corruption(name: str) -> Corruption:
    """UsageError, with the nearest names, for one that is not there."""
    if name not in CORRUPTIONS:
        raise unknown_name("corruption", name, CORRUPTIONS, f"they are {', '.join(CORRUPTIONS)}")
    return CORRUPTIONS[name]
