"""What colour a whole batch has: (N, C, H, W) float in 0..255 and one number a picture -> the same shape.

Results may leave 0..255; whoever asks for several bounds them once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R 601
AT_MOST = 1000  # pictures, and pixels of each, from which principal colours are taken


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Away from the picture's mean."""
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - middle).mul_(_each(factor)).add_(middle)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    return images * _each(factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Away from each pixel's own grey."""
    grey = (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    return (images - grey).mul_(_each(factor)).add_(grey)


def hue(images: Tensor, turns: Tensor) -> Tensor:
    """Around the circle of colours, (N,) in whole turns; value and saturation of HSV stay.

    lerp with weights of 0 and 1 chooses as torch.where does, twelve times as fast.
    """
    red, green, blue = images.unbind(1)
    value = images.amax(dim=1)
    chroma = value - images.amin(dim=1)
    some = chroma.clamp(min=1e-6)  # a grey pixel has no hue, and its chroma of 0 takes away what is found here
    angle = torch.lerp(4 + (red - green) / some, 2 + (blue - red) / some, (value == green).float())
    angle = torch.lerp(angle, (green - blue) / some, (value == red).float()).add_(6 * turns.view(-1, 1, 1))
    return torch.stack([value - chroma * _ramp(angle + place) for place in (5, 3, 1)], dim=1)


def _ramp(sixths: Tensor) -> Tensor:
    """What a channel lacks, of the chroma, where the circle has six sixths: 0 up, 1 for two of them, down, 0."""
    place = sixths - (sixths / 6).floor_().mul_(6)
    return torch.minimum(place, 4 - place).clamp_(0, 1)


def lighting(images: Tensor, factors: Tensor, colours: Tensor) -> Tensor:
    """Principal colours added, (N, C) `factors` of each: equation in section 4.1 of Krizhevsky et al. 2012."""
    return images + (factors[:, None, :] * colours).sum(dim=2)[:, :, None, None]


def principal_colours(pixels: Tensor) -> Tensor:
    """(N, C, H, W) uint8 -> (C, C) on the CPU: eigenvectors of the pixels' covariance times 255 eigenvalues.

    The eigenvalues are those of pixels in 0..1, as all who give numbers for ImageNet take them. Sums are of whole
    numbers below 2**53, so neither threads nor their order change a bit.
    """
    chosen = torch.linspace(0, len(pixels) - 1, min(AT_MOST, len(pixels))).long()
    stride = math.ceil(math.sqrt(pixels.shape[2] * pixels.shape[3] / AT_MOST))
    values = pixels[:, :, ::stride, ::stride].index_select(0, chosen.to(pixels.device)).cpu()
    values = values.transpose(0, 1).flatten(1).double()
    mean = values.sum(dim=1) / values.shape[1]
    covariance = (values @ values.T / values.shape[1] - mean.outer(mean)) / 255**2
    eigenvalues, eigenvectors = torch.linalg.eigh(covariance)
    return (255 * eigenvectors * eigenvalues).float()


def _each(numbers: Tensor) -> Tensor:
    return numbers.view(-1, 1, 1, 1)
