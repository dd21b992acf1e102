"""Crop, mirror and shift of a whole batch at once, by indices: for accelerators, where every call costs the same."""

from __future__ import annotations

import torch
from torch import Tensor


def mirror(images: Tensor, which: Tensor) -> Tensor:
    """Left and right exchanged where `which`, (N,) bool."""
    return torch.where(which.view(-1, 1, 1, 1), images.flip(3), images)


def shift(images: Tensor, rows: Tensor, columns: Tensor, *, reach: int, border: str = "edge") -> Tensor:
    """(N, C, H, W) -> the same shape; see `geometry.shift`."""
    down = _beyond(_from(rows - reach, images.shape[2]), images.shape[2], border)
    across = _beyond(_from(columns - reach, images.shape[3]), images.shape[3], border)
    number = torch.arange(len(images), device=images.device).view(-1, 1, 1)
    return images.permute(0, 2, 3, 1)[number, down[:, :, None], across[:, None, :]].permute(0, 3, 1, 2)


def crop(images: Tensor, boxes: Tensor, size: tuple[int, int], *, mirrored: Tensor | None = None) -> Tensor:
    """(N, C, H0, W0) uint8, (N, 4) of top, left, height, width in pixels -> (N, C, H, W) uint8.

    One axis after the other, as a product with the triangles over each target pixel that an antialiased bilinear
    resizing weighs with; at most a grey level beside `geometry.crop`, which rounds in between.
    """
    down = _triangles(boxes[:, 0], boxes[:, 2], images.shape[2], size[0])
    across = _triangles(boxes[:, 1], boxes[:, 3], images.shape[3], size[1])
    if mirrored is not None:
        across = torch.where(mirrored.view(-1, 1, 1), across.flip(1), across)
    wide = torch.einsum("nchw,nxw->nchx", images.float(), across)
    return torch.einsum("nyh,nchx->ncyx", down, wide).round_().clamp_(0, 255).to(torch.uint8)


def _from(starts: Tensor, length: int) -> Tensor:
    """(N,) -> (N, length): whole numbers from each start on."""
    return starts[:, None] + torch.arange(length, device=starts.device)


def _beyond(places: Tensor, length: int, border: str) -> Tensor:
    """Places outside 0..length - 1 led back inside: to the edge, or mirrored at it."""
    if border == "reflect":
        return (length - 1) - ((length - 1) - places.abs()).abs()
    return places.clamp(0, length - 1)


def _triangles(first: Tensor, count: Tensor, length: int, target: int) -> Tensor:
    """(N,) first of `count` source pixels -> (N, target, length) weights, each row of sum 1."""
    scale = (count / target).view(-1, 1, 1)
    reach = scale.clamp(min=1.0)
    place = torch.arange(target, device=first.device).view(1, -1, 1)
    middle = (place + 0.5) * scale - 0.5 + first.view(-1, 1, 1)
    source = torch.arange(length, device=first.device).view(1, 1, -1)
    inside = (source >= first.view(-1, 1, 1)) & (source < (first + count).view(-1, 1, 1))
    weights = (1 - (source - middle).abs() / reach).clamp_(min=0) * inside
    return weights / weights.sum(dim=2, keepdim=True)
