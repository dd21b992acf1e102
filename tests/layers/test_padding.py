"""TensorFlow's "same": ceil(size / stride) positions, the odd zero after the picture."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from convlens.layers import SameConv2d
from convlens.layers.padding import same_padding


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (224, 3, 2, (0, 1)),
        (225, 3, 2, (1, 1)),
        (7, 3, 1, (1, 1)),
        (14, 5, 2, (1, 2)),
        (8, 2, 2, (0, 0)),
        (5, 1, 2, (0, 0)),
    ],
)
def test_the_zeros_stand_where_tensorflow_puts_them(size, kernel, stride, expected):
    assert same_padding(size, kernel, stride) == expected


def test_a_3x3_of_stride_2_is_the_convolution_of_the_picture_with_one_more_row_and_column():
    torch.manual_seed(0)
    layer, images = SameConv2d(3, 4, 3, stride=2), torch.randn(2, 3, 10, 11)
    padded = functional.pad(images, (1, 1, 0, 1))
    expected = functional.conv2d(padded, layer.weight, layer.bias, stride=2)
    assert torch.equal(layer(images), expected)
    assert layer(images).shape == (2, 4, 5, 6)
