"""Score-CAM (Wang et al., 2020), https://arxiv.org/abs/1910.01279.

Algorithm 1: every feature map, scaled to 0..1 and to the size of the picture, is laid over it as a mask; the softmax of
the scores of all masked pictures gives the weights of the maps. No gradient is taken.

Departure: a map that is the same everywhere masks nothing in particular and is not scaled (the paper divides by zero):
its picture is black, scored once for all of them. Masks are made as they are needed, a few at a time, so that memory
does not grow with the number of maps.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from convlens.explanation.preparation import only, take_output
from convlens.explanation.question import Question, precise


def score_cam(question: Question) -> Tensor:
    """(N, C, H, W) -> (N, h, w)."""
    assert question.layer is not None
    with torch.no_grad():
        with take_output(question.model, question.layer, question.images) as taken:
            question.settle()
        maps = precise(only(taken, question.layer, len(question.images)))  # (N, channels, h, w)
        weights = torch.softmax(_scores(question, maps), dim=1)
        return F.relu((weights[:, :, None, None] * maps).sum(1))


def _scores(question: Question, maps: Tensor) -> Tensor:
    """(N, channels): what each masked picture says for the target."""
    low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    alive = high > low
    scaled = torch.where(alive, (maps - low) / torch.where(alive, high - low, 1), 0)
    scores = precise(question.scores_of(torch.zeros_like(question.images)[None])).T.repeat(1, maps.shape[1])
    channels = alive.flatten(1).any(0).nonzero().flatten()  # that any picture has
    start = 0
    for count in question.in_turns(len(channels), gradient=False):
        chosen = channels[start : start + count]
        masks = F.interpolate(scaled[:, chosen], question.images.shape[2:], mode="bilinear", align_corners=False)
        masked = question.images[None] * masks.transpose(0, 1)[:, :, None].to(question.images)
        scores[:, chosen] = precise(question.scores_of(masked)).T
        start += count
    return scores
