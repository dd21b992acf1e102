"""Test-time augmentation is the mean that its definition says, view by view."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from convlens.measurement import framed, with_views
from convlens.pictures import Preprocess

IMAGES = torch.rand(3, 2, 6, 5, generator=torch.Generator().manual_seed(0))


class Corner(nn.Module):
    """(N, C, H, W) -> (N, C): the pixel in row 1, column 0."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, :, 1, 0]


def test_without_it_the_network_is_the_same():
    network = Corner()
    assert with_views(network, "none", (6, 5)) is network


def test_the_mirror_image_has_half_the_weight():
    torch.testing.assert_close(
        with_views(Corner(), "mirror", (6, 5))(IMAGES), (IMAGES[:, :, 1, 0] + IMAGES[:, :, 1, 4]) / 2
    )


def test_shifts_are_by_a_pixel_down_right_and_up_left_with_a_reflected_border():
    middle = (IMAGES[:, :, 1, 0] + IMAGES[:, :, 1, 4]) / 2
    lower_right = (IMAGES[:, :, 0, 1] + IMAGES[:, :, 0, 3]) / 2  # column -1 is reflected to 1
    upper_left = (IMAGES[:, :, 2, 1] + IMAGES[:, :, 2, 3]) / 2  # and column 5 to 3
    expected = middle / 2 + (lower_right + upper_left) / 4
    torch.testing.assert_close(with_views(Corner(), "mirror_shifts", (6, 5))(IMAGES), expected)


@pytest.mark.parametrize("tta", ["mirror", "mirror_shifts", "ten_crop"])
def test_modes_reach_the_network(tta):
    network = nn.Sequential(Corner(), nn.Dropout(0.5))
    with_views(network, tta, (6, 5)).eval()
    assert not network.training


def test_ten_crops_are_corners_and_centre_and_their_mirror_images_by_their_probabilities():
    network = with_views(Corner(), "ten_crop", (4, 3))
    crops = [IMAGES[:, :, t : t + 4, left : left + 3] for t, left in ((0, 0), (0, 2), (2, 0), (2, 2), (1, 1))]
    shares = [torch.softmax(view[:, :, 1, 0], 1) for crop in crops for view in (crop, crop.flip(3))]
    torch.testing.assert_close(network(IMAGES).exp(), sum(shares) / 10)


def test_ten_crops_are_cut_from_a_picture_of_eight_sevenths():
    usual = Preprocess((224, 224), "crop", crop_ratio=0.875)
    assert framed(usual, "ten_crop") == Preprocess((256, 256), "crop", crop_ratio=1.0)
    assert framed(usual, "mirror") is usual


def test_a_probability_of_nothing_is_no_infinity():
    sure = nn.Sequential(nn.Flatten(), nn.Linear(2 * 4 * 3, 2))
    nn.init.zeros_(sure[1].weight)
    sure[1].bias.data = torch.tensor([1e4, -1e4])
    assert torch.isfinite(with_views(sure, "ten_crop", (4, 3))(IMAGES)).all()
