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
    Sigmoid,
    Softmax,
    Tanh,
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
        (lambda: MaxPooling(2).forward(np.zeros((8, 3))), r"MaxPooling got .*expected \(C, H, W, N\)"),
        (lambda: AveragePooling(5).forward(MAPS), "a window of 5 does not fit"),
        (lambda: Dense(32, 10).forward(MAPS), r"put Flatten\(\) before it"),
        (lambda: Dense(32, 10).forward(np.zeros((31, 3))), r"expected \(32, N\); check the layer before"),
        (lambda: BatchNorm(3).forward(MAPS), r"BatchNorm got shape \(2, 4, 4, 3\), expected \(3, H, W, N\)"),
        (lambda: BatchNorm(2).forward(np.zeros((2, 1)), training=True), "one number a channel"),
        (lambda: BatchNorm(2, momentum=2), "momentum is 2"),
        (lambda: Dropout(1.0), r"rate is 1\.0"),
        (lambda: Softmax(temperature=0), "temperature is 0; expected a number above 0"),
        (lambda: CrossEntropy(temperature=-1), "temperature is -1"),
        (lambda: CrossEntropy().forward(np.zeros((3, 2)), np.zeros(2)), "labels are float64, expected whole numbers"),
        (lambda: CrossEntropy().forward(np.zeros((3, 2)), np.zeros(3, int)), r"expected \(K, N\) and \(N,\)"),
        (lambda: CrossEntropy().backward(), "before forward"),
        (lambda: ReLU().backward(MAPS), r"ReLU\.backward was called before forward"),
        (lambda: Flatten().backward(MAPS), r"Flatten\.backward was called before forward"),
        (lambda: SGD(0), "rate is 0"),
        (lambda: SGD(0.1, momentum=1), "momentum is 1; expected a number of at least 0 and less than 1"),
        (lambda: SGD("0.1"), "rate is '0.1'; expected a number above 0"),
        (lambda: SGD(np.inf), "rate is inf; expected a number above 0"),
        (lambda: SGD(0.1, weight_decay=np.nan), "weight_decay is nan; expected a number of at least 0"),
        (lambda: Adam(np.inf), "rate is inf"),
        (lambda: Adam(epsilon=0), "epsilon is 0; expected a number above 0"),
        (lambda: Adam(betas=0.9), r"betas is 0\.9; expected two numbers"),
        (lambda: Adam(betas=(0.9,)), r"betas is \(0\.9,\); expected two numbers"),
        (lambda: Adam(betas=(0.9, 1)), "the second of betas is 1; expected a number of at least 0 and less than 1"),
        (lambda: Dropout("0.5"), "rate is '0.5'; expected a number"),
        (lambda: Dropout(seed=-1), "seed is -1, expected a whole number of at least 0"),
        (lambda: BatchNorm(2, momentum=None), "momentum is None; expected a number"),
        (lambda: Softmax(temperature="1"), "temperature is '1'; expected a number above 0"),
        (lambda: Adam(betas=(1, 0.9)), "betas"),
    ],
)
def test_wrong_options_and_shapes_are_refused(call, text):
    with pytest.raises(UsageError, match=text):
        call()


WHOLE = np.full((2, 4, 4, 3), 200, np.uint8)


@pytest.mark.parametrize(
    "layer",
    [
        Convolution(2, 1, 3), Dense(2, 1), MaxPooling(2), AveragePooling(2), BatchNorm(2), Dropout(0.3), ReLU(),
        Sigmoid(), Softmax(), Tanh(), Flatten(),
    ],
    ids=lambda layer: layer.kind,
)  # fmt: skip
def test_a_layer_refuses_what_are_no_floating_numbers(layer):
    for x, text in ((WHOLE, "an array of uint8"), (MAPS.astype(str), "an array of <U"), ([[1.0]], "list")):
        with pytest.raises(UsageError, match=f"{layer.kind} got {text}.*, expected one of floating numbers; convert"):
            layer.forward(x, training=True)


def test_whole_numbers_are_no_logits():
    with pytest.raises(UsageError, match="CrossEntropy got an array of uint8, expected one of floating numbers"):
        CrossEntropy().forward(np.array([[1], [200]], np.uint8), np.array([0]))


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.array([0, 3]), "labels go from 0 to 3, expected whole numbers from 0 to 2; the first .* 3, of picture 1"),
        (np.array([-1, 0]), "labels go from -1 to 0, .* the first that is not is -1, of picture 0"),
        (np.array(["a", "b"]), "labels are <U1, expected whole numbers from 0 to 2"),
        (np.array([None, 0]), "labels are object, expected whole numbers"),
    ],
)
def test_labels_that_name_no_class_are_told_with_their_place(labels, text):
    with pytest.raises(UsageError, match=text):
        CrossEntropy().forward(np.zeros((3, 2)), labels)


def test_a_delta_of_another_shape_is_refused():
    layer = ReLU()
    layer.forward(MAPS)
    with pytest.raises(UsageError, match=r"delta of shape \(2, 4, 4, 1\), expected that of y, \(2, 4, 4, 3\)"):
        layer.backward(MAPS[..., :1])
