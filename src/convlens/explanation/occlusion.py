"""Occlusion (Zeiler and Fergus, 2013), https://arxiv.org/abs/1311.2901, section 4.2: cover a patch and ask again.

A window of `window` pixels a side goes over the picture in steps of `stride`; those at the right and the bottom are cut
at the edge. A pixel gets the mean fall of the score over the windows that cover it: positive where covering it takes
away what speaks for the class.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from convlens.errors import UsageError
from convlens.explanation.blur import blurred
from convlens.explanation.question import Question

PATCHES = ("grey", "mean", "blur")
BLUR = 8  # a blurred patch has a side's eighth as its deviation
Window = tuple[slice, slice]


def occlusion(
    question: Question, *, window: int | None = None, stride: int | None = None, patch: str = "grey"
) -> Tensor:
    """(N, C, H, W) -> (N, H, W), signed, in units of the score.

    By default the window is a fifteenth of the longer side (15 px of 224) and the stride half a window. `patch` is what
    covers: "grey" (0 in the network's units, the mean colour of the training pictures), "mean" (of each picture) or
    "blur" (the picture itself, blurred).
    """
    height, width = question.images.shape[2:]
    window = max(2, round(max(height, width) / 15)) if window is None else window
    stride = max(1, (window + 1) // 2) if stride is None else stride
    _check(window, stride, patch, height, width)
    with torch.no_grad():
        plain = question.settle().float()
        cover = covering(question.images, patch)
        falls = torch.zeros(len(question.images), height, width, dtype=torch.float32, device=plain.device)
        covered = torch.zeros(height, width, dtype=torch.float32, device=plain.device)
        for places, scores in _scores(question, cover, windows(height, width, window, stride)):
            for place, score in zip(places, scores, strict=True):
                falls[:, *place] += (plain - score)[:, None, None]
                covered[place] += 1
    return falls / covered.clamp(min=1)


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


def _scores(question: Question, cover: Tensor, places: list[Window]) -> Iterator[tuple[list[Window], Tensor]]:
    """Windows, some at a time, and the scores of the pictures under them, (V, N).

    The pictures lie in one buffer: a window is written into it, and taken back before the next one is.
    """
    buffer: Tensor | None = None
    start = 0
    for count in question.in_turns(len(places), gradient=False):
        chosen = places[start : start + count]
        if buffer is None:
            buffer = question.images.expand(count, *question.images.shape).clone()
        for variant, place in zip(buffer, chosen, strict=False):
            variant[..., *place] = cover[..., *place]
        version = buffer._version
        scores = question.scores_of(buffer[:count]).float()
        if buffer._version != version:  # the network begins with an operation in place
            buffer[:] = question.images
        for variant, place in zip(buffer, chosen, strict=False):
            variant[..., *place] = question.images[..., *place]
        yield chosen, scores
        start += count
