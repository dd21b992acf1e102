"""What keeps the picture that is grown for a unit like a picture: costs, and how it is moved before it is looked at.

The transformations are those of Olah, Mordvintsev and Schubert 2017 (https://distill.pub/2017/feature-visualization/,
"transformation robustness"): a shape that only holds at one place, angle or size is no shape to an eye. For grey
pictures of at most 32 px, such as handwritten digits, which are strokes on an empty ground, three things are ours: an
absolute pull to that ground, no frequencies above a stroke's width, and noise. The pictures that three LeNet-5 grow for
the bundled digits correlate by 0.50 with the mean digits, by 0.40 as photographs, and by 0.54 with a margin
(`python benchmarks/maximise.py`, seeds 1 to 3, AMD EPYC, 2 cores, torch 2.13.0). The margin is no default: those of one
LeNet-5 of MNIST lost by it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from convlens.errors import UsageError, unknown_name
from convlens.explanation.fourier import total_variation
from convlens.explanation.options import check_value

JITTER = 1 / 12  # of the side, at most so far
SMALL = 32  # px of the longer side


@dataclass(frozen=True)
class Regularisers:
    """Weights of costs, against a unit's value relative to itself, and how far a picture is moved at each step.

    `variation` weighs the total variation, `decay` the squared distance from the mean in deviations, `sparsity` the
    distance from the ground, black or white, in deviations. `low_pass` is where frequencies end, in cycles along the
    longer side, 0 for nowhere; `rotation` in degrees and `zoom` as a share, both at most so much; `noise` is the
    deviation that is added to pixels of 0 to 1. Of a class's logit `margin` times the logarithm of the others' summed
    exponentials is taken away: with 1 the class is made likely, with 0 strong, others with it or not.
    """

    variation: float = 5.0
    decay: float = 0.25
    sparsity: float = 0.0
    low_pass: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    noise: float = 0.0
    margin: float = 0.0

    def cost(self, pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """(1, C, H, W) in 0..1 -> a number; light pictures are drawn dark on white."""
        cost = self.variation * total_variation(pixels)[0] + self.decay * ((pixels - mean) / std).square().mean()
        if self.sparsity:
            ground = (mean.mean() > 0.5).to(pixels)
            cost = cost + self.sparsity * ((pixels - ground) / std).abs().mean()
        return cost

    def moved(self, pixels: Tensor, drawn: torch.Generator) -> Tensor:
        """All pictures by the same way; the edge is stretched over what comes in."""
        moved = _shifted(pixels, drawn)
        return _turned(moved, self.rotation, self.zoom, drawn) if self.rotation or self.zoom else moved

    def noisy(self, pixels: Tensor, drawn: torch.Generator) -> Tensor:
        if not self.noise:
            return pixels
        return pixels + self.noise * torch.randn(pixels.shape, generator=drawn).to(pixels)


REGULARISERS = tuple(field.name for field in fields(Regularisers))
PHOTOGRAPH = Regularisers()
DRAWING = Regularisers(variation=2.0, decay=0.0, sparsity=0.5, low_pass=6.0, rotation=15.0, zoom=0.1, noise=0.2)


def chosen_regularisers(usual: Regularisers, given: Mapping[str, float]) -> Regularisers:
    """The usual ones but for those given; UsageError for one that is not there, or no number of 0 or more."""
    known = asdict(usual)
    for name, value in given.items():
        if name not in known:
            raise unknown_name("option of maximise", name, known, f"there are {', '.join(known)}")
        check_value(name, value, known[name])
        if value < 0:
            raise UsageError(f"{name} came as {value}; expected 0 or more")
    return replace(usual, **given)


def usual(channels: int, height: int, width: int) -> Regularisers:
    return DRAWING if channels == 1 and max(height, width) <= SMALL else PHOTOGRAPH


def _shifted(pixels: Tensor, drawn: torch.Generator) -> Tensor:
    height, width = pixels.shape[2:]
    down, across = (max(1, round(JITTER * side)) for side in (height, width))
    padded = F.pad(pixels, (across, across, down, down), mode="replicate")
    top, left = (int(torch.randint(0, 2 * most + 1, (), generator=drawn)) for most in (down, across))
    return padded[:, :, top : top + height, left : left + width]


def _turned(pixels: Tensor, rotation: float, zoom: float, drawn: torch.Generator) -> Tensor:
    """About the middle; pixels stay square."""
    turn, size = (2 * torch.rand(2, generator=drawn) - 1).tolist()
    angle, scale, (height, width) = math.radians(rotation * turn), 1 + zoom * size, pixels.shape[2:]
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    # grids run from -1 to 1 along both sides, whatever their lengths
    matrix = [[cosine, -sine * height / width, 0.0], [sine * width / height, cosine, 0.0]]
    grid = F.affine_grid(torch.tensor([matrix]).to(pixels), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)
