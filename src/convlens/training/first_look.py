"""Starting weights that are measured on pictures: a network with a method `look_at(images)` is shown some of them."""

from __future__ import annotations

import torch
from torch import nn

from convlens.data import Batches, permutation, plain_view

AT_MOST = 5000  # pictures


def show_pictures(network: nn.Module, batches: Batches) -> None:
    """Training pictures as the network will see them, without augmentation."""
    look_at = getattr(network, "look_at", None)
    if look_at is None:
        return
    chosen = torch.from_numpy(permutation(batches.seed, 0, len(batches.labels)))[:AT_MOST]
    images = batches.preprocess.normalise(plain_view(batches.pixels[chosen], batches.preprocess.size))
    look_at(images.to(next(network.parameters()).device))
