"""Wrong options and shapes: what came, what was expected, what to do."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.errors import UsageError
from convlens.scratch import (
    SGD,
    Adam,
    AveragePooling,
    BatchNorm,
    Convolution,
    CrossEntropy,
    Dense,
    Dropout,
    Flatten,
    MaxPooling,
    ReLU,
    Softmax,
)

MAPS = np.zeros((2, 4, 4, 3))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Convolution(3, 8, 0), "kernel_size is 0, expected a whole number of at least 1"),
        (lambda: Convolution(3, 8, (1, 2, 3)), "kernel_size is .*expected one number or two"),
        (lambda: Convolution(3, 8, 3, stride=1.5), r"stride is 1\.5"),
        (lambda: Convolution(3, 8, 3, padding="full"), "padding is 'full', expected 'valid', 'same'"),
        (lambda: Convolution(3, 8, 3, padding=-1), "padding is -1, expected a whole number of at least 0"),
        (lambda: Convolution(3, 8, 3, padding_mode="reflect"), "padding_mode is 'reflect'"),
        (lambda: Convolution(3, 8, 3, groups=2), "2 groups do not divide 3 input and 8 output channels"),
        (lambda: Convolution(True, 8, 3), "in_channels is True"),
        (lambda: Convolution(2, 1, 5).forward(MAPS), "a window of 5 does not fit into 4 pixels"),
        (
            lambda: Convolution(3, 1, 3).forward(MAPS),
            r"expected \(3, H, W, N\): inside a network the batch is the last",
        ),
        (lambda: MaxPooling(2, padding=2), "whole windows would be margin"),
        (lambda: MaxPooling(16), "at most 255 pixels"),
        (lambda: MaxPooling(2).forward(np.zeros((8, 3))), r"MaxPooling got .*expected \(C, H, W, N\)"),
        (lambda: AveragePooling(5).forward(MAPS), "a window of 5 does not fit"),
        (lambda: Dense(32, 10).forward(MAPS), r"put Flatten\(\) before it"),
        (lambda: Dense(32, 10).forward(np.zeros((31, 3))), r"expected \(32, N\); check the layer before"),
        (lambda: BatchNorm(3).forward(MAPS), r"BatchNorm got shape \(2, 4, 4, 3\), expected \(3, H, W, N\)"),
        (lambda: BatchNorm(2).forward(np.zeros((2, 1)), training=True), "one number a channel"),
        (lambda: BatchNorm(2, momentum=2), "momentum is 2"),
        (lambda: Dropout(1.0), r"rate is 1\.0"),
        (lambda: Softmax(temperature=0), "temperature is 0, expected a number above 0"),
        (lambda: CrossEntropy(temperature=-1), "temperature is -1"),
        (lambda: CrossEntropy().forward(np.zeros((3, 2)), np.zeros(2)), "labels are float64, expected whole numbers"),
        (lambda: CrossEntropy().forward(np.zeros((3, 2)), np.zeros(3, int)), r"expected \(K, N\) and \(N,\)"),
        (lambda: CrossEntropy().backward(), "before forward"),
        (lambda: ReLU().backward(MAPS), r"ReLU\.backward was called before forward"),
        (lambda: Flatten().backward(MAPS), r"Flatten\.backward was called before forward"),
        (lambda: SGD(0), "rate is 0"),
        (lambda: SGD(0.1, momentum=1), "momentum 1"),
        (lambda: Adam(betas=(1, 0.9)), "betas"),
    ],
)
def test_wrong_options_and_shapes_are_refused(call, text):
    with pytest.raises(UsageError, match=text):
        call()


def test_a_delta_of_another_shape_is_refused():
    layer = ReLU()
    layer.forward(MAPS)
    with pytest.raises(UsageError, match=r"delta of shape \(2, 4, 4, 1\), expected that of y, \(2, 4, 4, 3\)"):
        layer.backward(MAPS[..., :1])
