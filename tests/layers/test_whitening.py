"""Filters that are measured on pictures make patches white, and hand on both signs."""

from __future__ import annotations

import torch

from convlens.layers import WhiteningConv2d


def pictures() -> torch.Tensor:
    """Smooth ones, whose neighbouring pixels are alike."""
    noise = torch.randn(400, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.avg_pool2d(noise, 3, 1) * torch.tensor([20.0, 10.0, 5.0]).view(1, 3, 1, 1)


def test_outputs_over_pictures_are_uncorrelated_and_of_variance_one() -> None:
    layer = WhiteningConv2d(3, 2)
    layer.look_at(pictures())
    seen = layer(pictures()).movedim(1, 3).flatten(0, 2)[:, :12].double()
    torch.testing.assert_close(seen.T @ seen / len(seen), torch.eye(12).double(), atol=0.05, rtol=0)


def test_the_second_half_is_the_first_with_the_sign_turned() -> None:
    layer = WhiteningConv2d(1, 2)
    layer.look_at(pictures()[:, :1])
    assert layer.weight.shape == (8, 1, 2, 2) and torch.equal(layer.weight[4:], -layer.weight[:4])


def test_the_filters_are_not_trained_and_their_bias_is() -> None:
    layer = WhiteningConv2d(3, 2)
    layer(pictures()).sum().backward()
    assert layer.weight.grad is None and layer.bias is not None and layer.bias.grad is not None
