"""Occlusion (Zeiler and Fergus, 2013), https://arxiv.org/abs/1311.2901, section 4.2: cover a patch and ask again.

A window of `window` pixels a side goes over the picture in steps of `stride`; those at the right and the bottom are cut
at the edge. A pixel gets the mean fall of the score over the windows that cover it: positive where covering it takes
away what speaks for the class.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convlens.errors import UsageError
from convlens.explanation.blur import blurred
from convlens.explanation.occluded import Window, scores_under
from convlens.explanation.options import check_value
from convlens.explanation.question import Question, precise

PATCHES = ("grey", "mean", "blur")
TIES = 1e4  # falls are equal that differ by less than this part of the largest
COARSE = 4  # times a window's side, where coarse ones come first
BLUR = 8  # a blurred patch has a side's eighth as its deviation


def occlusion(
    question: Question,
    *,
    window: int | None = None,
    stride: int | None = None,
    patch: str = "grey",
    refine: float = 1.0,
) -> Tensor:
    """(N, C, H, W) -> (N, H, W), signed, in units of the score.

    By default the window is a fifteenth of the longer side (15 px of 224) and the stride half a window. `patch` is what
    covers: "grey" (0 in the network's units, the mean colour of the training pictures), "mean" (of each picture) or
    "blur" (the picture itself, blurred). With `refine` below 1 it goes from coarse to fine: windows four times as
    large, but of at most half the shorter side, come first, and only that share of the small ones is asked, where the
    large ones change most. These fall exactly as they would; the others are given the large ones' fall, scaled to agree
    with the small ones asked.
    """
    for name, given in {"window": window, "stride": stride}.items():
        if given is not None:
            check_value(name, given, 15)
    height, width = question.images.shape[2:]
    window = min(max(2, round(max(height, width) / 15)), max(height, width)) if window is None else window
    stride = max(1, (window + 1) // 2) if stride is None else stride
    _check(window, stride, patch, height, width)
    if not 0 < refine <= 1:
        raise UsageError(f"refine came as {refine}; expected above 0 to 1, the share of the windows that is asked")
    with torch.no_grad():
        plain = precise(question.settle())
        cover = covering(question.images, patch)
        places = windows(height, width, window, stride)
        if refine == 1:
            falls = plain - scores_under(question, cover, places)
        else:
            least = max(window, min(height, width) // 2)  # more than one, so that they tell places apart
            large, apart = (min(COARSE * side, least) for side in (window, stride))
            coarse = windows(height, width, large, apart)
            guess = mean_over(coarse, plain - scores_under(question, cover, coarse), height, width)
            falls = refined(question, cover, plain, places, guess, refine)
        return mean_over(places, falls, height, width)


def refined(
    question: Question, cover: Tensor, plain: Tensor, places: list[Window], guess: Tensor, share: float
) -> Tensor:
    """Falls of the small windows, (V, N): asked where the map of large ones, (N, H, W), is strongest, else guessed.

    A picture's own strongest windows count, whatever others go through the network with it.
    """
    guessed = torch.stack([guess[:, *place].mean((1, 2)) for place in places])
    ranks = (guessed.abs() * (TIES / guessed.abs().amax(0).clamp(min=1e-30))).round()  # rounding must not choose
    strongest = ranks.argsort(dim=0, descending=True, stable=True)[: max(1, round(share * len(places)))]
    own = torch.zeros_like(guessed, dtype=torch.bool).scatter_(0, strongest, True)
    asked = own.any(1).nonzero().flatten()
    exact = torch.zeros_like(guessed)
    exact[asked] = plain - scores_under(question, cover, [places[index] for index in asked.tolist()])
    known = guessed * own
    scale = (exact * known).sum(0) / known.square().sum(0).clamp(min=1e-12)
    return torch.where(own, exact, guessed * scale)


def mean_over(places: list[Window], falls: Tensor, height: int, width: int) -> Tensor:
    """(V, N), the falls under each window -> (N, H, W): at every pixel the mean over the windows that cover it."""
    total = falls.new_zeros(falls.shape[1], height, width)
    covered = falls.new_zeros(height, width)
    for place, fall in zip(places, falls, strict=True):
        total[:, *place] += fall[:, None, None]
        covered[place] += 1
    return total / covered.clamp(min=1)


def _check(window: int, stride: int, patch: str, height: int, width: int) -> None:
    if patch not in PATCHES:
        raise UsageError(f"patch came as '{patch}'; expected {', '.join(PATCHES)}")
    if not 1 <= window <= max(height, width):
        raise UsageError(f"window came as {window}; expected 1 to {max(height, width)} pixels, the picture's side")
    if not 1 <= stride <= window:
        raise UsageError(f"stride came as {stride}; expected 1 to {window}, the window, so that every pixel is covered")


def windows(height: int, width: int, window: int, stride: int) -> list[Window]:
    """Row by row; the last of a row and of a column are cut at the edge where they do not fit."""

    def along(side: int) -> list[slice]:
        last = max(0, -(-(side - window) // stride))
        return [slice(i * stride, min(i * stride + window, side)) for i in range(last + 1)]

    return [(row, column) for row in along(height) for column in along(width)]


def covering(images: Tensor, patch: str) -> Tensor:
    """What lies under the window, as a picture of the same shape."""
    if patch == "grey":
        return torch.zeros_like(images)
    if patch == "mean":
        return images.mean((2, 3), keepdim=True).expand_as(images)
    return blurred(images, max(images.shape[2:]) / BLUR)
