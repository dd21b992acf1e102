"""A torch network that is a chain, in NumPy: the same logits, the same gradients, the same weights file."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import convlens
from convlens.errors import NetworkError, UsageError
from convlens.scratch import CrossEntropy, Dropout

# fmt: off
CHAINS = {
    "lenet5":     ({"in_channels": 1, "num_classes": 10},                     (1, 28, 28)),
    "mlp":        ({"in_channels": 1, "num_classes": 10},                     (1, 28, 28)),
    "perceptron": ({"in_channels": 1, "num_classes": 10},                     (1, 28, 28)),
    "vgg11":      ({"image_size": 32, "num_classes": 10},                     (3, 32, 32)),
    "vgg11_bn":   ({"image_size": 32, "num_classes": 10},                     (3, 32, 32)),
}
# fmt: on


def filled(model: nn.Module) -> nn.Module:
    """Statistics and shifts that are not 0 and 1."""
    for name, tensor in model.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            nn.init.normal_(tensor, std=0.1)
        elif name.endswith("running_var"):
            nn.init.uniform_(tensor, 0.5, 2)
    return model


def compare(model: nn.Module, shape: tuple[int, ...], *, tolerance: float, pictures: int = 3) -> None:
    """Logits, and the gradient by every parameter, in eval mode."""
    dtype = next(model.parameters()).dtype
    images, labels = torch.randn(pictures, *shape, dtype=dtype), torch.arange(pictures) % 3
    model.eval().zero_grad()
    expected = model(images)
    functional.cross_entropy(expected, labels).backward()

    network = convlens.scratch_network(model, (1, *shape))
    logits = network.forward(images.numpy())
    loss = CrossEntropy()
    loss.forward(logits.T, labels.numpy())
    back = network.backward(loss.backward().T)

    np.testing.assert_allclose(logits, expected.detach().numpy(), rtol=0, atol=tolerance)
    assert back.shape == images.shape
    gradients = network.gradients()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        scale = max(1.0, float(parameter.grad.abs().max()))
        np.testing.assert_allclose(gradients[name], parameter.grad.numpy(), rtol=0, atol=tolerance * scale)
    assert {name: array.shape for name, array in network.state().items()} == {
        name: tuple(tensor.shape) for name, tensor in model.state_dict().items()
    }


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_logits_and_gradients_are_those_of_the_torch_network(name, dtype, tolerance):
    options, shape = CHAINS[name]
    torch.manual_seed(0)
    compare(filled(convlens.zoo.create(name, **options)).to(dtype), shape, tolerance=tolerance)


class Functions(nn.Module):
    """Every operation that scratch has, most of them not as modules."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1, padding_mode="replicate", stride=2)
        self.second = nn.Conv2d(4, 8, 2, groups=2, bias=False, padding=(1, 0))
        self.norm = nn.BatchNorm2d(8)
        self.out = nn.Linear(24, 5, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(torch.tanh(self.first(x)), 3, 1, 1)
        x = functional.avg_pool2d(torch.sigmoid(self.second(functional.pad(x, (0, 1, 2, 0)))), 2, padding=1)
        x = functional.adaptive_avg_pool2d(functional.relu(self.norm(x)), (3, 1))
        return torch.softmax(self.out(x.flatten(1)), 1)


class Odd(nn.Module):
    """One layer after a convolution."""

    def __init__(self, then: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.then = then

    def forward(self, x: Tensor) -> Tensor:
        return self.then(self.conv(x))


class Called(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def test_functions_count_as_modules_do():
    torch.manual_seed(0)
    compare(filled(Functions().double()), (2, 15, 3), tolerance=1e-12)


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel:UserWarning")
def test_same_padding_becomes_margins(kernel):
    compare(Odd(nn.Sequential(nn.Conv2d(4, 2, kernel, padding="same"), nn.Flatten())), (1, 6, 7), tolerance=1e-5)


@pytest.mark.parametrize(
    ("then", "text"),
    [
        (nn.GELU(), r"layer 'then' \(GELU\) has the operation 'gelu'"),
        (nn.Sequential(nn.ReLU(), nn.ReLU6()), r"layer 'then\.1' \(ReLU6\)"),
        (nn.Conv2d(4, 4, 3, dilation=2), r"layer 'then' \(Conv2d\).*without dilation"),
        (nn.ConvTranspose2d(4, 4, 3), "no transposed ones"),
        (nn.MaxPool2d(2, ceil_mode=True), "ceil_mode"),
        (nn.AvgPool2d(2, padding=1, count_include_pad=False), "margins that do not count"),
        (nn.BatchNorm2d(4, affine=False), "has weights and running statistics"),
        (nn.ZeroPad2d(1), "pads inside a convolution only"),
        (nn.Sequential(nn.ZeroPad2d(1), nn.ReLU()), "pads inside a convolution only"),
        (nn.Dropout2d(), r"layer 'then' is Dropout2d"),
        (nn.AdaptiveAvgPool2d(5), "no whole number of windows"),
        (nn.Flatten(2), "expected features of each picture"),
        (nn.Softmax(-1), "over the channels or features"),
        (nn.Sequential(nn.ReLU(), nn.Dropout(1.0)), r"layer 'then\.1' is Dropout: rate is 1\.0; expected a number"),
        (Called(functional.dropout), r"operation 'bernoulli': it draws in evaluation too.*training=self\.training"),
    ],
)
def test_what_scratch_does_not_have_is_refused_by_the_layer_s_name(then, text):
    with pytest.raises(NetworkError, match=text):
        convlens.scratch_network(Odd(then), (1, 1, 20, 20))


class Viewed(nn.Module):
    """Reads a square parameter by some view of it."""

    def __init__(self, weight: Tensor, read: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.weight, self.read = nn.Parameter(weight), read

    def forward(self, x: Tensor) -> Tensor:
        return self.read(x, self.weight)


@pytest.mark.parametrize(
    ("side", "read", "text"),
    [
        (12, lambda x, w: x.flatten(1) @ w, "'mm': its weight is another view of 'weight', expected all of it, transp"),
        (12, lambda x, w: functional.linear(x.flatten(1), w.flip(0)), "'flip'"),
        (3, lambda x, w: functional.conv2d(x, w.transpose(0, 1)).flatten(1), "'convolution': its weight is another vi"),
        (3, lambda x, w: functional.conv2d(x, w.transpose(2, 3)).flatten(1), "view of 'weight', .*, as it lies"),
        (3, lambda x, w: functional.conv2d(x, w[:1].expand(3, 3, 2, 2)).flatten(1), "another view of 'weight'"),
    ],
)
def test_a_square_weight_that_is_read_by_another_view_is_refused(side, read, text):
    weight = torch.randn(12, 12) if side == 12 else torch.randn(3, 3, 2, 2)
    with pytest.raises(NetworkError, match=text):
        convlens.scratch_network(Viewed(weight, read), (1, 3, 2, 2))


@pytest.mark.parametrize(
    ("weight", "read"),
    [
        (torch.randn(12, 12), lambda x, w: x.flatten(1) @ w.T),
        (torch.randn(1, 12), lambda x, w: x.flatten(1) @ w.transpose(0, 1)),
        (torch.randn(12, 12).T, lambda x, w: functional.linear(x.flatten(1), w)),
        (torch.randn(20, 20)[4:16, 4:16], lambda x, w: functional.linear(x.flatten(1), w)),
        (
            torch.randn(3, 3, 2, 2).to(memory_format=torch.channels_last),
            lambda x, w: functional.conv2d(x, w).flatten(1),
        ),
    ],
)
def test_a_weight_is_taken_over_however_it_lies_in_memory(weight, read):
    model, images = Viewed(weight, read), torch.randn(4, 3, 2, 2)
    logits = convlens.scratch_network(model, (1, 3, 2, 2)).logits(images.numpy())
    np.testing.assert_allclose(logits, model(images).detach().numpy(), atol=1e-5)


def test_dropout_as_a_function_is_nothing_in_evaluation():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(9, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = functional.dropout(self.one(x.flatten(1)), 0.5, self.training)
            return self.two(functional.dropout(functional.relu(x), 1.0, self.training, inplace=True))

    model = Net()
    assert [layer.kind for layer in convlens.scratch_network(model, (1, 1, 3, 3)).layers.values()] == [
        "Flatten", "Dense", "ReLU", "Dense",
    ]  # fmt: skip
    compare(model, (1, 3, 3), tolerance=1e-5)


def test_what_is_no_chain_is_refused():
    with pytest.raises(
        NetworkError, match=r"layer '[\w.]+' \(.+\) has the operation 'add': it does not read the layer"
    ):
        convlens.scratch_network(convlens.zoo.create("resnet20", num_classes=10), (1, 3, 32, 32))
    shared = nn.Linear(4, 4)
    with pytest.raises(NetworkError, match="its weights are used twice"):
        convlens.scratch_network(nn.Sequential(shared, nn.ReLU(), shared), (1, 4))
    with pytest.raises(UsageError, match="without input_shape"):
        convlens.scratch_network(shared)


def test_dropout_that_stands_in_two_places_is_taken_over_twice():
    drop = nn.Dropout(0.3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), drop, nn.ReLU(), nn.Linear(4, 4), drop, nn.Linear(4, 2)).eval()
    found = convlens.scratch_network(model, (1, 1, 3, 3)).layers
    assert [layer.kind for layer in found.values()].count("Dropout") == 2
    assert [name for name, layer in found.items() if isinstance(layer, Dropout)] == ["2", "2_2"]


def test_running_statistics_that_are_no_running_mean_are_refused():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, momentum=None), nn.Flatten()).eval()
    with pytest.raises(NetworkError, match=r"layer '1' \(BatchNorm2d\).*means of all batches"):
        convlens.scratch_network(model, (1, 1, 8, 8))


def test_dropout_is_taken_over_in_its_place():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3), nn.ReLU(), nn.Linear(4, 2), nn.Dropout(0.1))
    layers = convlens.scratch_network(model, (1, 4)).layers
    assert list(layers) == ["0", "1", "2", "3", "4"]
    assert [one.rate for one in layers.values() if isinstance(one, Dropout)] == [0.3, 0.1]


def test_a_run_becomes_a_network_that_reads_and_writes_the_same_weights_file(trained_run, tmp_path):
    run = convlens.Run.load(trained_run)
    network = convlens.scratch_network(trained_run)
    images = torch.randn(4, *run.input_shape[1:])
    with torch.no_grad():
        np.testing.assert_allclose(network.logits(images.numpy()), run.model(images).numpy(), atol=1e-5)

    network.save(tmp_path / "weights.safetensors")
    again = convlens.scratch_network(convlens.zoo.create("lenet5", in_channels=1, num_classes=10), (1, 1, 28, 28))
    for path in (tmp_path / "weights.safetensors", run.folder.weights):
        again.load(path)
        assert np.array_equal(again.logits(images.numpy()), network.logits(images.numpy()))
    assert list(network.state()) == list(run.model.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("name", convlens.zoo.names())
def test_every_network_becomes_an_equal_one_or_is_refused_by_a_layer(name):
    torch.manual_seed(0)
    model = convlens.zoo.create(name, num_classes=10, image_size=32).eval()
    images = torch.randn(2, 3, 32, 32)
    try:
        network = convlens.scratch_network(model, (1, 3, 32, 32))
    except NetworkError as error:
        assert re.match(r"(layer '[\w.]+' \(\w+\)|the network itself) has the operation '[\w:]+': ", str(error))
        return
    with torch.no_grad():
        expected = model(images).numpy()
    np.testing.assert_allclose(network.logits(images.numpy()), expected, atol=1e-5 * max(1, np.abs(expected).max()))
