"""A first convolution that whitens: its filters are measured on pictures, and never trained.

Page (2018), https://myrtle.ai/learn/how-to-train-your-resnet, and Jordan (2024), https://arxiv.org/abs/2404.00498,
section 3.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 5e-4  # added to the variances: directions that hold only noise are not blown up


class WhiteningConv2d(nn.Conv2d):
    """(N, C, H, W) -> (N, 2CKK, H-K+1, W-K+1): the principal directions of K x K patches at variance 1, and negated.

    Both signs, so that a rectifier behind it loses nothing. Its bias is trained.
    """

    def __init__(self, in_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, 2 * in_channels * kernel_size**2, kernel_size)
        self.weight.requires_grad_(False)
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]

    @torch.no_grad()
    def look_at(self, images: Tensor) -> None:
        """Measure the filters on (N, C, H, W) images as the network will see them."""
        size = self.kernel_size[0]
        patches = images.float().unfold(2, size, 1).unfold(3, size, 1).movedim(1, 3)  # (N, H', W', C, K, K)
        rows = patches.flatten(3).flatten(0, 2).double()
        variances, directions = torch.linalg.eigh(rows.T @ rows / len(rows))
        filters = (directions / (variances + EPSILON).sqrt()).T.reshape(-1, self.in_channels, size, size)
        self.weight.copy_(torch.cat([filters, -filters]))
