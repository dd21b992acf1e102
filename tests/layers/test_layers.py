"""The shared blocks against torch and against arithmetic by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convlens import layers


@pytest.mark.parametrize("channels", [3, 5, 8])
def test_local_response_norm_is_torch_s_with_alpha_of_the_sum(channels: int) -> None:
    images = torch.randn(2, channels, 4, 3, generator=torch.Generator().manual_seed(0)) * 50
    oracle = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
    torch.testing.assert_close(layers.LocalResponseNorm()(images), oracle(images))


def test_local_response_norm_of_one_channel_is_the_paper_s_formula() -> None:
    got = layers.LocalResponseNorm()(torch.full((1, 1, 1, 1), 30.0))
    assert got.item() == pytest.approx(30 / (2 + 1e-4 * 900) ** 0.75)


def test_local_response_norm_works_in_bf16() -> None:
    images = torch.randn(1, 6, 4, 4, generator=torch.Generator().manual_seed(0))
    got = layers.LocalResponseNorm()(images.bfloat16())
    torch.testing.assert_close(got.float(), layers.LocalResponseNorm()(images), rtol=0.03, atol=0.01)


@pytest.mark.parametrize(
    ("channels", "rounded"), [(32, 32), (1, 8), (11.9, 16), (12, 16), (44.8, 48), (60, 64), (18, 24), (17.6, 16)]
)
def test_channels_are_rounded_to_eight_but_never_lose_a_tenth(channels: float, rounded: int) -> None:
    assert layers.round_channels(channels) == rounded


@pytest.mark.parametrize(("kernel", "stride", "side"), [(1, 1, 9), (3, 1, 9), (3, 2, 5), (5, 2, 5)])
def test_conv_norm_act_keeps_the_size_or_divides_it_by_the_stride(kernel: int, stride: int, side: int) -> None:
    block = layers.ConvNormAct(4, 6, kernel, stride=stride, groups=2)
    assert block(torch.zeros(2, 4, 9, 9)).shape == (2, 6, side, side)
    assert [name for name, _ in block.named_children()] == ["conv", "norm", "act"]


def test_conv_norm_act_without_activation_is_linear() -> None:
    assert [name for name, _ in layers.ConvNormAct(4, 6, 1, act=None).named_children()] == ["conv", "norm"]


def test_pooled_classifier_sees_only_the_average_of_each_channel() -> None:
    head = layers.pooled_classifier(3, 5, dropout=0.5).eval()
    features = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(head(features), head(features.mean((2, 3), keepdim=True)))
    assert hasattr(head, "dropout") and not hasattr(layers.pooled_classifier(3, 5), "dropout")


def test_he_initialisation_keeps_the_variance_of_gradients_through_relu() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(*(nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()) for _ in range(8)))
    layers.he_initialise(network)
    images = torch.randn(4, 64, 16, 16, requires_grad=True)
    network(images).backward(torch.randn(4, 64, 16, 16))
    assert images.grad is not None
    assert 0.3 < images.grad.std() < 1.5


def test_he_initialisation_sets_every_norm_to_the_identity_and_every_bias_to_zero() -> None:
    block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2), nn.Conv2d(3, 4, 1, bias=False))
    for parameter in block.parameters():
        nn.init.constant_(parameter, 9.0)
    layers.he_initialise(block)
    assert block[1].weight.tolist() == [1, 1, 1, 1]
    assert not any(layer.bias.any() for layer in block[:3])
    assert not any((parameter == 9).any() for parameter in block.parameters())


def test_batch_norm_constants_reach_every_norm_inside() -> None:
    block = layers.ConvNormAct(3, 4, 1)
    layers.set_batch_norm(block, eps=0.5, momentum=0.25)
    assert (block.norm.eps, block.norm.momentum) == (0.5, 0.25)
