"""A picture as its frequencies, so that large shapes are as easy to change as small ones.

Olah, Mordvintsev and Schubert 2017, https://distill.pub/2017/feature-visualization/, "preconditioning": gradient steps
on the spectrum, every frequency scaled to its energy in photographs (1 / frequency), and on decorrelated colours.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Light, red against blue, green against both, and how much of each photographs hold, roughly: ours, orthonormal.
OPPONENT = torch.tensor([[1, 1, 1], [1, 0, -1], [-1, 2, -1]]) / torch.tensor([3.0, 2.0, 6.0])[:, None].sqrt()
SHARES = torch.tensor([1.0, 0.35, 0.15])
START = 0.1  # deviation of the spectrum's first numbers


def first_spectrum(channels: int, height: int, width: int, seed: int) -> Tensor:
    """Noise: (1, channels, height, width // 2 + 1, 2)."""
    drawn = torch.Generator().manual_seed(seed)
    return START * torch.randn((1, channels, height, width // 2 + 1, 2), generator=drawn)


def pixels_of(spectrum: Tensor, height: int, width: int, low_pass: float = 0.0) -> Tensor:
    """-> (count, channels, height, width) in 0..1; `low_pass` cycles along the longer side are the finest."""
    down, across = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
    frequency = (down**2 + across**2).sqrt()
    energy = 1 / frequency.clamp(min=1 / max(height, width))
    if low_pass:
        energy = energy * torch.exp(-((frequency * max(height, width) / low_pass) ** 4))
    scaled = torch.view_as_complex(spectrum) * (energy * (height * width) ** 0.5 / max(height, width)).to(
        spectrum.device
    )
    image = torch.fft.irfft2(scaled, s=(height, width), norm="ortho")
    if image.shape[1] == 3:
        basis = (SHARES[:, None] * OPPONENT).to(image)
        image = torch.einsum("nkhw,kc->nchw", image, basis)
    return torch.sigmoid(image)


def total_variation(pixels: Tensor) -> Tensor:
    """(N, C, H, W) -> (N,): the mean difference of neighbours (Mahendran and Vedaldi 2014, https://arxiv.org/abs/1412.0035)."""
    down, across = pixels.diff(dim=2).abs(), pixels.diff(dim=3).abs()
    return down.mean((1, 2, 3)) + across.mean((1, 2, 3))
