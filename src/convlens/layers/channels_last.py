"""Channels last in memory, quicker for most networks; those that view a map as rows run on contiguous maps alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def lay_out(network: nn.Module, images: Tensor) -> torch.memory_format:
    """The layout that a network takes from then on: channels last where it answers such images, else contiguous.

    `images` (N, C, H, W) are answered once, in the mode that it is in; what else is wrong shows when it runs.
    """
    if _runs_channels_last(network, images):
        return torch.channels_last
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return torch.contiguous_format


@torch.no_grad()
def _runs_channels_last(network: nn.Module, images: Tensor) -> bool:
    try:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        network(images.contiguous(memory_format=torch.channels_last))
    except Exception:
        return False
    return True
