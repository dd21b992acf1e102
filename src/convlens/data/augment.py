"""Augmentation as whole-batch tensor operations; each picture's draws are a hash of (seed, epoch, index)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from convlens.data import geometry, light
from convlens.data.augmentation import Augment
from convlens.data.draws import Draws

AT_ONCE = 1 << 18  # numbers whose colours are changed together: 1 MiB of float32 stays in a core's cache
FEWEST = 3  # pictures together: of fewer torch divides one's sum among threads, and other bits come out
ASPECT = 4 / 3  # of a random crop's sides, at most
RELATIVE = {"contrast": light.contrast, "brightness": light.brightness, "saturation": light.saturation}


def paint(
    moved: Tensor, ask: Augment, draws: Draws, *, colours: Tensor | None = None, out: Tensor | None = None
) -> Tensor:
    """(N, C, H, W) uint8 or float32 -> float32 in 0..255, in `out` if given: colours changed, a part cut out.

    Lighting needs the `principal_colours` of the set.
    """
    if not ask.changes_colours:
        return moved.to(torch.float32) if out is None else out.copy_(moved)
    seen = torch.empty_like(moved, dtype=torch.float32) if out is None else out
    count = max(1, len(seen) // max(FEWEST, AT_ONCE // seen[0].numel())) if moved.device.type == "cpu" else 1
    for part, into, own in zip(moved.tensor_split(count), seen.tensor_split(count), draws.split(count), strict=True):
        planes = part.contiguous() if ask.takes_channels_apart else part
        into.copy_(cutout(recolour(planes.to(torch.float32), ask, own, colours), ask, own))
    return seen


def move(images: Tensor, ask: Augment, draws: Draws, size: tuple[int, int], chosen: Tensor | None = None) -> Tensor:
    """(N, C, H0, W0) uint8 -> (N, C, H, W), of float32 where they are rotated; of a set, those `chosen`, (N,)."""
    if ask.zoom < 1:
        seen = crops(images, ask, draws, size, chosen=chosen)
    else:
        which = mirrored(draws, alternate=ask.alternate) if ask.flip else None
        seen = geometry.centre(images if chosen is None else geometry.taken(images, chosen), size)
        seen = seen if which is None else geometry.mirror(seen, which)
    if ask.shift:
        rows, columns = (draws.whole(f"shift {name}", 2 * ask.shift + 1) for name in ("rows", "columns"))
        seen = geometry.shift(seen, rows, columns, reach=ask.shift, border=ask.border)
    if ask.rotate:
        seen = geometry.rotate(seen, draws.within("rotate", ask.rotate), border=ask.border)
    return seen


def crops(
    images: Tensor,
    ask: Augment,
    draws: Draws,
    size: tuple[int, int],
    *,
    chosen: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Parts of pictures resized to `size`, mirrored where that is asked; all else as `geometry.crop` takes it."""
    which = mirrored(draws, alternate=ask.alternate) if ask.flip else None
    drawn = boxes(ask.zoom, draws, images.shape[2:])
    return geometry.crop(images, drawn, size, mirrored=which, chosen=chosen, out=out)


def mirrored(draws: Draws, *, alternate: bool) -> Tensor:
    """(N,) bool: half of them, drawn anew each epoch, or those of epoch 0 and their opposite in turn."""
    if not alternate:
        return draws("flip") < 0.5
    return (draws.of_epoch(0)("flip") < 0.5) ^ bool(draws.epoch % 2)


def boxes(zoom: float, draws: Draws, sides: tuple[int, ...]) -> Tensor:
    """(N, 4): top, left, height and width of `zoom` to all of the area, anywhere."""
    area = zoom + (1 - zoom) * draws("area").double()
    aspect = torch.exp(draws.within("aspect", math.log(ASPECT)).double())
    shares = ((area / aspect).sqrt(), (area * aspect).sqrt())  # of each side
    height, width = ((share * side).round().clamp(1, side).long() for share, side in zip(shares, sides, strict=True))
    top, left = draws.whole("top", sides[0] - height + 1), draws.whole("left", sides[1] - width + 1)
    return torch.stack([top, left, height, width], dim=1)


def recolour(images: Tensor, ask: Augment, draws: Draws, colours: Tensor | None) -> Tensor:
    """(N, C, H, W) in 0..255 -> the same, in this order: contrast, brightness, saturation, hue, lighting."""
    relative = [name for name in RELATIVE if getattr(ask, name)]
    for name in relative:
        images = RELATIVE[name](images, 1 + draws.within(name, getattr(ask, name)))
    if relative:
        images = images.clamp_(0, 255)
    if ask.hue:
        images = light.hue(images, draws.within("hue", ask.hue))
    if ask.lighting:
        assert colours is not None
        factors = torch.stack([draws.normal(f"lighting {number}") for number in range(images.shape[1])], dim=1)
        images = light.lighting(images, ask.lighting * factors, colours).clamp_(0, 255)
    return images


def cutout(images: Tensor, ask: Augment, draws: Draws) -> Tensor:
    """A square about any point set to the mean of each channel, cut off at the edges."""
    if not ask.cutout:
        return images
    _, _, height, width = images.shape
    top = (draws("cutout top") * height).view(-1, 1, 1, 1) - ask.cutout / 2
    left = (draws("cutout left") * width).view(-1, 1, 1, 1) - ask.cutout / 2
    rows = torch.arange(height, device=images.device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, 1, -1)
    down = ((rows >= top) & (rows < top + ask.cutout)).float()
    across = ((columns >= left) & (columns < left + ask.cutout)).float()
    return torch.lerp(images, images.mean(dim=(2, 3), keepdim=True), down * across)
