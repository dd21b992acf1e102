"""Adversarial networks learn and draw on a GPU."""

from __future__ import annotations

import pytest
import torch

from convlens.classics import DCGAN, GAN


@pytest.mark.parametrize(
    "network", [GAN((1, 8, 8), num_classes=2, hidden=16), DCGAN((1, 8, 8), num_classes=2, width=4)]
)
def test_an_adversarial_network_learns_and_draws(network):
    pictures, labels = torch.rand(8, 1, 8, 8), torch.arange(8) % 2
    made = network.cuda().fit(pictures, labels, epochs=2, batch=4).samples(3)
    assert made.is_cuda and made.shape == (3, 1, 8, 8) and made.isfinite().all()
