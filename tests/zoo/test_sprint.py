"""The networks made for records, against their mathematics written out in float64."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import convlens.zoo as zoo
from convlens.layers import BiasNorm2d
from convlens.zoo.sprint import EvenConv2d


def settled(name: str) -> zoo.Network:
    """In float64 and eval mode, with running statistics, scales and biases that are not the identity."""
    torch.manual_seed(0)
    network = zoo.create(name, num_classes=10, in_channels=zoo.entry(name).in_channels).double().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    for key, parameter in network.named_parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1.5) if key.endswith("weight") else nn.init.normal_(parameter, std=0.1)
    return network


def cifar(x: Tensor, given: list[Tensor]) -> Tensor:
    """Jordan 2024, section 3: whitening, then three groups; the norms have a bias alone."""
    take = iter(given)
    x = F.gelu(F.conv2d(x, next(take), next(take)))
    for _ in range(3):
        x = F.max_pool2d(F.conv2d(x, next(take), padding=1), 2)
        x = F.gelu(shifted(x, next(take), next(take), next(take)))
        x = F.conv2d(x, next(take), padding=1)
        x = F.gelu(shifted(x, next(take), next(take), next(take)))
    return F.max_pool2d(x, 3).flatten(1) @ next(take).T / 256


def cifar_deep(x: Tensor, given: list[Tensor]) -> Tensor:
    """airbench96: a third convolution, and a shortcut around it and the second."""
    take = iter(given)
    x = F.gelu(F.conv2d(x, next(take), next(take)))
    for _ in range(3):
        x = F.max_pool2d(F.conv2d(x, next(take), padding=1), 2)
        x = y = F.gelu(shifted(x, next(take), next(take), next(take)))
        x = F.conv2d(x, next(take), padding=1)
        x = F.gelu(shifted(x, next(take), next(take), next(take)))
        x = F.conv2d(x, next(take), padding=1)
        x = F.gelu(shifted(x, next(take), next(take), next(take)) + y)
    return F.max_pool2d(x, 3).flatten(1) @ next(take).T / 512


def shifted(x: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    each = (-1, 1, 1)
    return (x - mean.view(each)) / (variance + 1e-12).sqrt().view(each) + bias.view(each)


def mnist(x: Tensor, given: list[Tensor]) -> Tensor:
    take = iter(given)
    for _ in range(3):
        x = F.max_pool2d(F.conv2d(x, next(take), padding=1), 2)
        weight, bias, mean, variance = next(take), next(take), next(take), next(take)
        x = F.batch_norm(x, mean, variance, weight, bias).relu()
    return x.flatten(1) @ next(take).T + next(take)


def deep(x: Tensor, given: list[Tensor]) -> Tensor:
    take = iter(given)
    for pooled in (True, True, True, False):
        x = F.conv2d(x, next(take), padding=1)
        x = F.max_pool2d(x, 2) if pooled else x
        weight, bias, mean, variance = next(take), next(take), next(take), next(take)
        x = F.batch_norm(x, mean, variance, weight, bias).relu()
    return x.flatten(1) @ next(take).T + next(take)


@pytest.mark.parametrize(
    ("of", "written"),
    [
        ("sprint_cifar", cifar),
        ("sprint_cifar_deep", cifar_deep),
        ("sprint_mnist", mnist),
        ("sprint_mnist_deep", deep),
    ],
)
def test_a_network_computes_what_its_file_says(of, written) -> None:
    network = settled(of)
    entry = zoo.entry(of)
    images = torch.randn(3, entry.in_channels, entry.resolution, entry.resolution, dtype=torch.float64)
    given = [value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")]
    with torch.no_grad():
        torch.testing.assert_close(network(images), written(images, given), rtol=0, atol=1e-10)


def test_convolutions_start_by_handing_their_inputs_on() -> None:
    layer = zoo.create("sprint_cifar").eval().stages[1].conv1
    images = torch.rand(2, 64, 9, 9)
    torch.testing.assert_close(layer(images)[:, :64], images)


def test_running_statistics_are_those_of_nineteen_batches() -> None:
    norms = [m for m in zoo.create("sprint_cifar").modules() if isinstance(m, BiasNorm2d)]
    assert [(2 - norm.momentum) / norm.momentum for norm in norms] == [pytest.approx(19)] * 6


def test_half_of_the_width_has_half_of_the_channels() -> None:
    assert zoo.create("sprint_mnist", width=0.5).stages[2].conv.weight.shape == (32, 16, 3, 3)


@pytest.mark.parametrize("name", ["sprint_cifar", "sprint_cifar_deep", "sprint_mnist", "sprint_mnist_deep"])
def test_the_narrowest_has_a_channel_in_each_group(name: str) -> None:
    network = zoo.create(name, num_classes=10, width=1e-4).eval()
    assert network(torch.rand(2, network.architecture.in_channels, *network.architecture.image_size)).shape == (2, 10)


@pytest.mark.parametrize("side", [32, 28, 24, 20, 13])
@pytest.mark.parametrize("name", ["sprint_cifar", "sprint_cifar_deep"])
def test_places_that_a_pooling_drops_are_left_out_and_nothing_else_changes(name: str, side: int) -> None:
    """A step of training against one with the same weights, whose convolutions compute every place."""
    torch.manual_seed(0)
    network = zoo.create(name, image_size=side, width=0.25).double().train()
    plain = copy.deepcopy(network)
    shapes: dict[type[nn.Conv2d], list[torch.Size]] = {EvenConv2d: [], nn.Conv2d: []}
    images, labels = torch.randn(6, 3, side, side, dtype=torch.float64), torch.arange(6) % 10
    for one, kind in ((network, EvenConv2d), (plain, nn.Conv2d)):
        for layer in [layer for layer in one.modules() if type(layer) is EvenConv2d]:
            layer.__class__ = kind
            layer.register_forward_hook(lambda _, __, found, kind=kind: shapes[kind].append(found.shape[2:]))
        F.cross_entropy(one(images), labels).backward()
    assert [[size - size % 2 for size in shape] for shape in shapes[nn.Conv2d]] == [list(s) for s in shapes[EvenConv2d]]
    assert shapes[nn.Conv2d] != shapes[EvenConv2d]
    for key, weight in plain.named_parameters():
        if weight.requires_grad:
            torch.testing.assert_close(network.get_parameter(key).grad, weight.grad, rtol=0, atol=1e-12)
    for key, value in plain.named_buffers():
        torch.testing.assert_close(network.get_buffer(key), value, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 8, 7), (2, 3, 7, 8), (2, 3, 8, 8), (3, 8, 7), (3, 7, 7)])
def test_before_a_pooling_the_layer_is_as_any_convolution(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer, images = EvenConv2d(3, 4, 3, padding=1).train(), torch.randn(shape)
    plain = F.conv2d(images, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(F.max_pool2d(layer(images), 2), F.max_pool2d(plain, 2))
    torch.testing.assert_close(layer.eval()(images), plain)
