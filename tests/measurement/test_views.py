"""Test-time augmentation is the mean that its definition says, view by view."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from convlens.measurement import with_views

IMAGES = torch.rand(3, 2, 6, 5, generator=torch.Generator().manual_seed(0))


class Corner(nn.Module):
    """(N, C, H, W) -> (N, C): the pixel in row 1, column 0."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, :, 1, 0]


def test_without_it_the_network_is_the_same():
    network = Corner()
    assert with_views(network, "none") is network


def test_the_mirror_image_has_half_the_weight():
    torch.testing.assert_close(with_views(Corner(), "mirror")(IMAGES), (IMAGES[:, :, 1, 0] + IMAGES[:, :, 1, 4]) / 2)


def test_shifts_are_by_a_pixel_down_right_and_up_left_with_a_reflected_border():
    middle = (IMAGES[:, :, 1, 0] + IMAGES[:, :, 1, 4]) / 2
    lower_right = (IMAGES[:, :, 0, 1] + IMAGES[:, :, 0, 3]) / 2  # column -1 is reflected to 1
    upper_left = (IMAGES[:, :, 2, 1] + IMAGES[:, :, 2, 3]) / 2  # and column 5 to 3
    expected = middle / 2 + (lower_right + upper_left) / 4
    torch.testing.assert_close(with_views(Corner(), "mirror_shifts")(IMAGES), expected)


@pytest.mark.parametrize("tta", ["mirror", "mirror_shifts"])
def test_modes_reach_the_network(tta):
    network = nn.Sequential(Corner(), nn.Dropout(0.5))
    with_views(network, tta).eval()
    assert not network.training
