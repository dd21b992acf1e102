"""A convolution of two dimensions, and its gradients as torch computes them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Pair = tuple[int, int]


@dataclass(frozen=True)
class Convolution:
    """One that is not dilated; pairs are of height and width."""

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    groups: int = 1

    def size_of(self, images: Tensor, weight: Tensor) -> Pair:
        """Height and width of the maps that come out of (N, C, H, W) and (K, C // groups, R, S)."""
        (height, width), (tall, wide) = images.shape[2:], weight.shape[2:]
        (above, beside), (down, across) = self.padding, self.stride
        return (height + 2 * above - tall) // down + 1, (width + 2 * beside - wide) // across + 1

    def by_input(self, images: Tensor, weight: Tensor, gradient: Tensor) -> Tensor:
        """The gradient by `images`, of which the shape counts alone."""
        return self._backward(images, weight, gradient, (True, False, False))[0]

    def by_filters(self, images: Tensor, weight: Tensor, gradient: Tensor) -> Tensor:
        """The gradient by `weight`, of which the shape counts alone."""
        return self._backward(images, weight, gradient, (False, True, False))[1]

    def _backward(
        self, images: Tensor, weight: Tensor, gradient: Tensor, wanted: tuple[bool, bool, bool]
    ) -> tuple[Tensor, Tensor, Tensor]:
        sizes = (self.stride, self.padding, (1, 1), False, (0, 0), self.groups)
        found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
            gradient, images, weight, None, *sizes, wanted
        )
        return found
