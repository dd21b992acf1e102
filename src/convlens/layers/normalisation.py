"""Normalisation layers with the constants of their papers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class LocalResponseNorm(nn.Module):
    """(N, C, H, W) -> (N, C, H, W): x / (k + alpha * sum of x^2 over `size` channels around)^beta.

    The constants are those of Krizhevsky et al. (2012), section 3.3. torch's layer of this name multiplies alpha by the
    mean in place of the sum, and has no bf16 on a CPU.
    """

    def __init__(self, *, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        channels, before = x.shape[1], self.size // 2
        squares = functional.pad(x.square(), (0, 0, 0, 0, before, self.size - 1 - before))
        total = squares[:, :channels]
        for shift in range(1, self.size):
            total = total + squares[:, shift : shift + channels]
        return x * (self.k + self.alpha * total).pow(-self.beta)

    def extra_repr(self) -> str:
        return f"size={self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class BiasNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose output has variance 1: it learns a bias and no weight.

    For networks whose next convolution can weigh as well, and whose optimiser turns filters without scaling them.
    """

    def __init__(self, channels: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(channels, eps, momentum)
        self.register_parameter("weight", None)

    def reset_parameters(self) -> None:
        self.reset_running_stats()
        nn.init.zeros_(self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not x.is_cuda:
            return super().forward(x)
        # on a GPU torch has no gradient of a bias that stands without a weight
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        statistics, affine = (self.running_mean, self.running_var), (torch.ones_like(self.bias), self.bias)
        return functional.batch_norm(x, *statistics, *affine, self.training, self.momentum or 0.0, self.eps)


def set_batch_norm(module: nn.Module, *, eps: float, momentum: float) -> None:
    """Give every batch normalisation inside `module` the constants of its paper."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps, layer.momentum = eps, momentum
