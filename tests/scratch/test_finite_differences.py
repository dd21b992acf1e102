"""Gradients of every layer against finite differences: no other engine has a say here."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.scratch import (
    AveragePooling,
    BatchNorm,
    Convolution,
    CrossEntropy,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPooling,
    Network,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)

STEP = 1e-6
# fmt: off
LAYERS = {
    "convolution":        (Convolution(2, 4, 3, stride=2, padding=1, groups=2), (2, 6, 5, 3)),
    "replicated margins": (Convolution(2, 3, 3, padding="same", padding_mode="replicate"), (2, 4, 5, 2)),
    "true convolution":   (Convolution(1, 2, 3, flipped=True), (1, 5, 4, 2)),
    "max pooling":        (MaxPooling(3, stride=2, padding=1), (2, 5, 6, 2)),
    "average pooling":    (AveragePooling(2), (2, 5, 6, 2)),
    "the whole map":      (AveragePooling(), (2, 3, 4, 2)),
    "dense":              (Dense(5, 3), (5, 4)),
    "flatten":            (Flatten(), (2, 3, 2, 4)),
    "relu":               (ReLU(), (3, 4)),
    "sigmoid":            (Sigmoid(), (3, 4)),
    "tanh":               (Tanh(), (3, 4)),
    "softmax":            (Softmax(temperature=0.7), (4, 3)),
    "batch norm":         (BatchNorm(2), (2, 3, 2, 4)),
}
# fmt: on


def slopes(array: np.ndarray, error) -> np.ndarray:
    """dE/d(array), one number after the other moved a little to both sides; `array` is as before afterwards."""
    found = np.zeros_like(array)
    for place in np.ndindex(*array.shape):
        before = array[place]
        array[place] = before + STEP
        up = error()
        array[place] = before - STEP
        found[place] = (up - error()) / (2 * STEP)
        array[place] = before
    return found


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_the_slopes_of_the_error(name, training):
    layer, shape = LAYERS[name]
    random = np.random.default_rng(0)
    for key, array in layer.parameters.items():
        layer.parameters[key] = random.standard_normal(array.shape)
    x = random.standard_normal(shape)
    aim = random.standard_normal(layer.forward(x, training=training).shape)

    def error() -> float:
        return float((layer.forward(x, training=training) * aim).sum())

    error()
    back = layer.backward(aim)
    gradients = {key: array.copy() for key, array in layer.gradients.items()}
    np.testing.assert_allclose(back, slopes(x, error), atol=1e-7)
    for key, parameter in layer.parameters.items():
        np.testing.assert_allclose(gradients[key], slopes(parameter, error), atol=1e-7, err_msg=key)


def test_dropout_sends_back_what_it_let_through():
    x, delta = np.random.default_rng(0).standard_normal((2, 40, 50))
    layer = Dropout(0.3)
    y, back = layer.forward(x, training=True), layer.backward(delta)
    kept = y != 0
    assert 0.65 < kept.mean() < 0.75
    np.testing.assert_allclose(y[kept], x[kept] / 0.7)
    np.testing.assert_allclose(back, np.where(kept, delta / 0.7, 0))
    assert np.array_equal(layer.forward(x), x)
    assert np.array_equal(layer.backward(delta), delta)


def test_every_layer_of_the_room_is_checked():
    assert {type(layer) for layer, _ in LAYERS.values()} | {Dropout} == set(Layer.__subclasses__())


def test_a_whole_network_s_gradients_are_the_slopes_down_to_the_pictures():
    network = Network(
        [Convolution(1, 2, 3), Tanh(), Convolution(2, 3, 2), Sigmoid(), AveragePooling(2), Flatten(), Dense(12, 3)],
        dtype=np.float64,
    )
    images, labels = np.random.default_rng(1).standard_normal((2, 1, 7, 7)), np.array([2, 0])
    loss = CrossEntropy()

    def error() -> float:
        return loss.forward(network.forward(images).T, labels)

    error()
    back = network.backward(loss.backward().T)
    gradients = {name: array.copy() for name, array in network.gradients().items()}
    np.testing.assert_allclose(back, slopes(images, error), atol=1e-8)
    for name, parameter in network.parameters().items():
        np.testing.assert_allclose(gradients[name], slopes(parameter, error), atol=1e-8, err_msg=name)
