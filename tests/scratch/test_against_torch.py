"""Each layer equals torch's in float64 to 1e-12: outputs, and gradients by the input and by each parameter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from convlens.scratch import (
    SGD,
    Adam,
    AveragePooling,
    BatchNorm,
    Convolution,
    CrossEntropy,
    Dense,
    Flatten,
    Layer,
    MaxPooling,
    Network,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)

EXACT = {"rtol": 0, "atol": 1e-12}
Torch = Callable[[Tensor], Tensor]


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def compare(layer: Layer, torch_layer: Torch, x: np.ndarray, *, training: bool = False) -> None:
    """`x` is (N, C, H, W) or (N, features); parameters of the layer are copied to torch's."""
    if isinstance(torch_layer, nn.Module):
        torch_layer.double().load_state_dict({k: torch.tensor(v) for k, v in layer.parameters.items()}, strict=False)
        torch_layer.train(training).zero_grad()
    given = torch.tensor(x, requires_grad=True)
    expected = torch_layer(given)
    delta = drawn(*expected.shape, seed=1)
    expected.backward(torch.tensor(delta))

    y = layer.forward(np.moveaxis(x, 0, -1), training=training)
    back = layer.backward(np.moveaxis(delta, 0, -1))

    np.testing.assert_allclose(np.moveaxis(y, -1, 0), expected.detach().numpy(), **EXACT)
    assert given.grad is not None
    np.testing.assert_allclose(np.moveaxis(back, -1, 0), given.grad.numpy(), **EXACT)
    if isinstance(torch_layer, nn.Module):
        for name, parameter in torch_layer.named_parameters():
            assert parameter.grad is not None
            np.testing.assert_allclose(layer.gradients[name], parameter.grad.numpy(), **EXACT, err_msg=name)


# fmt: off
#    N  C   H   W   K  kernel  stride  padding  groups
CONVOLUTIONS = [
    (2, 1,  7,  7,  1, 1,      1,      0,       1),
    (3, 1, 28, 28,  8, 3,      1,      0,       1),
    (2, 3,  9, 11,  4, 3,      1,      1,       1),
    (2, 3,  9, 11,  4, 3,      2,      1,       1),
    (2, 3, 10, 10,  4, 3,      2,      0,       1),  # the last row and column are in no window
    (1, 4, 12,  8,  6, 5,      1,      2,       2),
    (2, 6, 11,  9,  6, 3,      2,      1,       6),  # depthwise
    (2, 4,  9,  7,  8, 3,      1,      2,       4),  # a channel multiplier of two
    (2, 3,  8, 13,  5, (1, 4), (1, 3), (0, 2),  1),
    (2, 2, 13,  8,  4, (5, 2), (3, 1), (4, 1),  2),
    (2, 2, 12, 12,  3, 2,      4,      0,       1),  # a stride larger than the kernel
    (2, 2,  5,  5,  3, 5,      1,      0,       1),  # one window
    (2, 3,  4,  4,  2, 1,      1,      2,       1),
]
# fmt: on


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mode", ["zeros", "replicate"])
def test_a_convolution_is_torch_s(case, bias, mode):
    pictures, in_channels, height, width, channels, kernel, stride, padding, groups = case
    layer = Convolution(
        in_channels, channels, kernel, stride=stride, padding=padding, padding_mode=mode, groups=groups, bias=bias
    )
    give_weights(layer)
    peer = nn.Conv2d(in_channels, channels, kernel, stride, padding, 1, groups, bias, mode)
    compare(layer, peer, drawn(pictures, in_channels, height, width, seed=2))


def give_weights(layer: Layer) -> None:
    for seed, (name, array) in enumerate(layer.parameters.items(), start=3):
        layer.parameters[name] = drawn(*array.shape, seed=seed)


@pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel:UserWarning")  # torch's, about its own copy
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, (2, 5)])
@pytest.mark.parametrize("mode", ["zeros", "replicate"])
def test_same_padding_is_torch_s_where_torch_has_it(kernel, mode):
    layer = Convolution(2, 3, kernel, padding="same", padding_mode=mode)
    give_weights(layer)
    peer = nn.Conv2d(2, 3, kernel, padding="same", padding_mode=mode)
    compare(layer, peer, drawn(2, 2, 7, 8))


@pytest.mark.parametrize(("size", "stride", "margin"), [(8, 2, (0, 1)), (7, 2, (1, 1)), (8, 3, (0, 1)), (9, 4, (1, 1))])
def test_same_padding_with_a_stride_gives_a_row_for_each_stride_that_begins(size, stride, margin):
    layer = Convolution(2, 3, 3, stride=stride, padding="same")
    give_weights(layer)
    x = drawn(2, 2, size, size)
    assert layer.forward(np.moveaxis(x, 0, -1)).shape == (3, -(-size // stride), -(-size // stride), 2)
    weight, bias = (torch.tensor(layer.parameters[name]) for name in ("weight", "bias"))
    compare(layer, lambda t: functional.conv2d(functional.pad(t, margin * 2), weight, bias, stride), x)


def test_margins_may_differ_on_each_side():
    layer = Convolution(1, 2, 3, padding=((0, 2), (1, 3)), padding_mode="replicate")
    give_weights(layer)
    weight, bias = (torch.tensor(layer.parameters[name]) for name in ("weight", "bias"))

    def peer(t: Tensor) -> Tensor:
        return functional.conv2d(functional.pad(t, (1, 3, 0, 2), mode="replicate"), weight, bias)

    compare(layer, peer, drawn(2, 1, 6, 5))


def test_true_convolution_turns_its_kernels():
    layer = Convolution(2, 4, (3, 2), groups=2, flipped=True)
    give_weights(layer)
    weight = torch.tensor(layer.parameters["weight"], requires_grad=True)
    bias = torch.tensor(layer.parameters["bias"])
    compare(layer, lambda t: functional.conv2d(t, weight.flip(2, 3), bias, groups=2), drawn(2, 2, 6, 7))
    assert weight.grad is not None
    np.testing.assert_allclose(layer.gradients["weight"], weight.grad.numpy(), **EXACT)


def test_true_convolution_of_an_impulse_shows_the_kernel_and_cross_correlation_shows_it_turned():
    impulse = np.zeros((1, 5, 5, 1))
    impulse[0, 2, 2, 0] = 1
    kernel = np.arange(9.0).reshape(1, 1, 3, 3)
    for flipped, seen in ((True, kernel), (False, kernel[:, :, ::-1, ::-1])):
        layer = Convolution(1, 1, 3, bias=False, flipped=flipped)
        layer.parameters["weight"] = kernel
        np.testing.assert_array_equal(layer.forward(impulse)[0, :, :, 0], seen[0, 0])


#         H   W  kernel stride padding
POOLINGS = [
    (8, 8, 2, None, 0),
    (9, 7, 2, None, 0),  # the last row and column are in no window
    (9, 11, 3, 2, 1),  # overlapping, with margins
    (7, 9, (3, 2), (1, 3), (1, 0)),
    (8, 8, 3, 1, 0),
    (9, 9, 2, 3, 0),  # pixels between windows
]


@pytest.mark.parametrize("case", POOLINGS, ids=str)
@pytest.mark.parametrize(("ours", "peer"), [(MaxPooling, nn.MaxPool2d), (AveragePooling, nn.AvgPool2d)])
def test_pooling_is_torch_s(case, ours, peer):
    height, width, kernel, stride, padding = case
    layer = ours(kernel, stride=stride, padding=padding)
    compare(layer, peer(kernel, stride, padding), drawn(2, 3, height, width))


def test_of_equal_pixels_the_first_wins_as_in_torch():
    tied = np.random.default_rng(0).integers(0, 2, (4, 3, 8, 8)).astype(float)
    compare(MaxPooling(2), nn.MaxPool2d(2), tied)
    compare(MaxPooling(3, stride=2, padding=1), nn.MaxPool2d(3, 2, 1), tied)


@pytest.mark.parametrize("case", POOLINGS, ids=str)
@pytest.mark.parametrize("odd", [[np.nan], [-np.inf], [np.nan, -np.inf, np.inf]], ids=["nan", "-inf", "all"])
def test_max_pooling_of_nan_and_infinity_is_torch_s(case, odd):
    height, width, kernel, stride, padding = case
    random = np.random.default_rng(0)
    x = random.standard_normal((4, 3, height, width))
    for share, value in zip((0.3, 0.3, 0.1), odd, strict=False):
        x[random.random(x.shape) < share] = value
    x[0] = odd[0]  # nothing else
    compare(MaxPooling(kernel, stride=stride, padding=padding), nn.MaxPool2d(kernel, stride, padding), x)


@pytest.mark.parametrize("kernel", [(16, 16), (1, 257), (20, 18)])
def test_a_maximum_of_a_window_of_any_size_is_torch_s(kernel):
    odd = drawn(2, 2, 41, 540)
    odd[1, 1, 7:30, 9:300] = np.nan
    for x in (drawn(2, 2, 41, 540, seed=3), odd):
        compare(MaxPooling(kernel, stride=(9, 100)), nn.MaxPool2d(kernel, (9, 100)), x)


def test_average_pooling_without_a_size_takes_the_whole_map():
    compare(AveragePooling(), nn.AdaptiveAvgPool2d(1), drawn(2, 3, 5, 7))


@pytest.mark.parametrize("bias", [True, False])
def test_a_dense_layer_is_torch_s(bias):
    layer = Dense(7, 4, bias=bias)
    give_weights(layer)
    compare(layer, nn.Linear(7, 4, bias=bias), drawn(5, 7))


@pytest.mark.parametrize("shape", [(3, 6), (2, 3, 4, 5)])
@pytest.mark.parametrize(
    ("layer", "peer"),
    [
        (ReLU(), nn.ReLU()),
        (Sigmoid(), nn.Sigmoid()),
        (Tanh(), nn.Tanh()),
        (Softmax(), nn.Softmax(1)),
        (Softmax(temperature=2.5), lambda t: torch.softmax(t / 2.5, 1)),
        (Flatten(), nn.Flatten()),
    ],
)
def test_activations_are_torch_s(layer, peer, shape):
    compare(layer, peer, 3 * drawn(*shape))


def test_sigmoid_and_softmax_stay_finite_far_out():
    far = np.array([[-800.0, 800.0, 0.0]]).T
    assert np.array_equal(Sigmoid().forward(far).ravel(), [0, 1, 0.5])
    assert np.array_equal(Softmax().forward(far).ravel(), [0, 1, 0])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("shape", "peer"), [((4, 3, 5, 2), nn.BatchNorm2d(3)), ((6, 3), nn.BatchNorm1d(3))])
def test_batch_norm_is_torch_s_with_the_batch_s_statistics_and_with_running_ones(training, shape, peer):
    layer = BatchNorm(3)
    give_weights(layer)
    peer.reset_running_stats()
    for seed in range(3):
        compare(layer, peer, 2 * drawn(*shape, seed=seed) + 1, training=True)
    compare(layer, peer, drawn(*shape), training=training)
    for name, buffer in peer.named_buffers():
        np.testing.assert_allclose(layer.buffers[name], buffer.numpy(), **EXACT, err_msg=name)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 4.0])
def test_cross_entropy_is_torch_s(temperature):
    logits, labels = 5 * drawn(6, 4), np.array([0, 3, 1, 1, 2, 0])
    given = torch.tensor(logits, requires_grad=True)
    expected = functional.cross_entropy(given / temperature, torch.tensor(labels))
    expected.backward()
    loss = CrossEntropy(temperature=temperature)
    assert abs(loss.forward(logits.T, labels) - expected.item()) < 1e-12
    assert given.grad is not None
    np.testing.assert_allclose(loss.backward().T, given.grad.numpy(), **EXACT)


def test_cross_entropy_is_softmax_and_its_logarithm_in_two_steps():
    logits, labels = drawn(4, 6), np.array([0, 3, 1, 1, 2, 0])
    layer, loss = Softmax(temperature=1.5), CrossEntropy(temperature=1.5)
    chosen = layer.forward(logits)[labels, np.arange(6)]
    delta = np.zeros((4, 6))
    delta[labels, np.arange(6)] = -1 / chosen / 6
    assert abs(loss.forward(logits, labels) + np.log(chosen).mean()) < 1e-12
    np.testing.assert_allclose(layer.backward(delta), loss.backward(), **EXACT)


@pytest.mark.parametrize(
    ("ours", "peer"),
    [
        (SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
        (SGD(0.1, momentum=0.9, weight_decay=0.01), lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.01)),
        (Adam(0.01, betas=(0.8, 0.99)), lambda p: torch.optim.Adam(p, 0.01, betas=(0.8, 0.99))),
    ],
)
def test_optimisers_take_torch_s_steps(ours, peer):
    weight = drawn(3, 4)
    parameter = nn.Parameter(torch.tensor(weight))
    theirs = peer([parameter])
    for seed in range(5):
        gradient = drawn(3, 4, seed=seed + 10)
        ours.step({"w": weight}, {"w": gradient})
        parameter.grad = torch.tensor(gradient)
        theirs.step()
        np.testing.assert_allclose(weight, parameter.detach().numpy(), **EXACT)


def test_a_training_of_some_steps_ends_where_torch_s_does():
    ours = Network([Convolution(1, 4, 3), BatchNorm(4), ReLU(), MaxPooling(2), Flatten(), Dense(36, 3)], dtype=float)
    peer = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    ).double()
    peer.load_state_dict({name: torch.tensor(array) for name, array in ours.state().items()})
    images, labels = drawn(12, 1, 8, 8), np.arange(12) % 3
    optimiser = torch.optim.SGD(peer.parameters(), 0.1, momentum=0.9)
    for _ in range(4):
        optimiser.zero_grad()
        functional.cross_entropy(peer(torch.tensor(images)), torch.tensor(labels)).backward()
        optimiser.step()
    ours.fit(images, labels, optimiser=SGD(0.1, momentum=0.9), epochs=4, batch_size=12)
    for name, tensor in peer.state_dict().items():
        np.testing.assert_allclose(ours.state()[name], tensor.numpy(), rtol=0, atol=1e-11, err_msg=name)
