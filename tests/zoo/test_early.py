"""The early networks, for which no peer stands, against their mathematics written out in float64."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import convlens.zoo as zoo

# Table I of LeCun et al. (1998): the maps of S2 that each of C3's 16 maps reads.
TABLE_I = [
    "012", "123", "234", "345", "450", "501", "0123", "1234", "2345", "3450", "4501", "5012", "0134", "1245", "0235",
    "012345",
]  # fmt: skip


def settled(name: str, **arguments: int) -> zoo.Network:
    """In float64 and eval mode, with running statistics, scales and biases that are not the identity."""
    torch.manual_seed(0)
    network = zoo.create(name, **arguments).double().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    for key, parameter in network.named_parameters():
        if key.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
    return network


def tensors(network: zoo.Network) -> Iterator[Tensor]:
    """Parameters and statistics in the order of the layers, counters left out."""
    return iter([tensor for key, tensor in network.state_dict().items() if not key.endswith("num_batches_tracked")])


def dense(x: Tensor, given: Iterator[Tensor]) -> Tensor:
    return x.flatten(1) @ next(given).T + next(given)


def normalised(x: Tensor) -> Tensor:
    """Krizhevsky et al. 2012, section 3.3: over five channels, torch's alpha being that of their mean."""
    return F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)


def perceptron(x: Tensor, given: Iterator[Tensor]) -> Tensor:
    return dense(x, given)


def mlp(x: Tensor, given: Iterator[Tensor]) -> Tensor:
    return dense(dense(dense(x, given).relu(), given).relu(), given)


def lenet5(x: Tensor, given: Iterator[Tensor]) -> Tensor:
    x = F.max_pool2d(F.conv2d(x, next(given), next(given), padding=2).relu(), 2)
    x = F.max_pool2d(F.conv2d(x, next(given), next(given)).relu(), 2)
    return dense(dense(dense(x, given).relu(), given).relu(), given)


def squashed(x: Tensor) -> Tensor:
    return 1.7159 * torch.tanh(2 * x / 3)


def halved(x: Tensor, given: Iterator[Tensor]) -> Tensor:
    total = x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]
    return squashed(next(given) * total + next(given))


def lenet5_1998(x: Tensor, given: Iterator[Tensor]) -> Tensor:
    """C3 as one convolution of all six maps, with zeros where table I has no cross."""
    x = halved(squashed(F.conv2d(x, next(given), next(given), padding=2)), given)
    filters, biases, place = torch.zeros(16, 6, 5, 5, dtype=x.dtype), [], 0
    for _ in range(3):  # 6 maps of three, 9 of four, one of six
        weight, bias = next(given), next(given)
        biases.append(bias)
        for row in weight:
            filters[place, sorted(int(digit) for digit in TABLE_I[place])] = row
            place += 1
    x = halved(squashed(F.conv2d(x, filters, torch.cat(biases))), given)
    x = squashed(dense(squashed(dense(x, given)), given))
    return -((x[:, None] - next(given)) ** 2).sum(2)


def alexnet_paper(x: Tensor, given: Iterator[Tensor]) -> Tensor:
    """Two towers: the second, fourth and fifth convolutions see half of the maps each."""

    def convolution(x: Tensor, groups: int, **options: int) -> Tensor:
        weight, bias = next(given), next(given)
        halves = zip(x.chunk(groups, 1), weight.chunk(groups), bias.chunk(groups), strict=True)
        return torch.cat([F.conv2d(*half, **options) for half in halves], 1).relu()

    x = F.max_pool2d(normalised(convolution(x, 1, stride=4, padding=2)), 3, 2)
    x = F.max_pool2d(normalised(convolution(x, 2, padding=2)), 3, 2)
    x = convolution(convolution(x, 1, padding=1), 2, padding=1)
    x = F.max_pool2d(convolution(x, 2, padding=1), 3, 2)
    return dense(dense(dense(x, given).relu(), given).relu(), given)


def vgg(x: Tensor, given: Iterator[Tensor], kernels: list[str], norm: str = "") -> Tensor:
    """`kernels` has the sizes of a stage's convolutions: "331" ends with a 1x1."""
    for number, stage in enumerate(kernels):
        for kernel in stage:
            x = F.conv2d(x, next(given), next(given), padding=int(kernel) // 2)
            if "bn" in norm:
                scale, shift, mean, variance = (next(given)[:, None, None] for _ in range(4))
                x = scale * (x - mean) / (variance + 1e-5).sqrt() + shift
            x = x.relu()
        if number == 0 and "lrn" in norm:
            x = normalised(x)
        if number < 3:  # two of five poolings are left out for 32 px
            x = F.max_pool2d(x, 2)
    return dense(x.mean((2, 3)), given)


A, C = ["3", "3", "33", "33", "33"], ["33", "33", "331", "331", "331"]
# fmt: off
#    network            mathematics                                              pictures
CASES = {
    "perceptron":      (perceptron,                                             (1, 28)),
    "mlp":             (mlp,                                                    (1, 28)),
    "lenet5":          (lenet5,                                                 (1, 28)),
    "lenet5_1998":     (lenet5_1998,                                            (1, 28)),
    "alexnet_paper":   (alexnet_paper,                                          (3, 224)),
    "vgg11_lrn":       (lambda x, given: vgg(x, given, A, "lrn"),               (3, 32)),
    "vgg11_lrn_bn":    (lambda x, given: vgg(x, given, A, "lrn bn"),            (3, 32)),
    "vgg16_c":         (lambda x, given: vgg(x, given, C),                      (3, 32)),
    "vgg16_c_bn":      (lambda x, given: vgg(x, given, C, "bn"),                (3, 32)),
}
# fmt: on


@pytest.mark.parametrize("network", CASES)
def test_an_early_network_gives_the_logits_of_its_mathematics(network: str) -> None:
    mathematics, (channels, side) = CASES[network]
    built = settled(network, num_classes=10, in_channels=channels, image_size=side)
    images = torch.randn(2, channels, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    given = tensors(built)
    with torch.no_grad():
        torch.testing.assert_close(built(images), mathematics(images, given), rtol=1e-10, atol=1e-10)
    assert next(given, None) is None, "a tensor of the network had no part in it"


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("autocast", [False, True], ids=["bf16 weights", "autocast"])
def test_bf16_gives_the_1998_network_the_same_classes(seed: int, autocast: bool) -> None:
    """Its distances are near 84, where bf16 tells apart steps of 0.5; classes of fresh weights differ by less."""
    torch.manual_seed(seed)
    network = zoo.create("lenet5_1998", num_classes=10, in_channels=1, image_size=28).eval()
    images = torch.randn(256, 1, 28, 28)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        got = network(images) if autocast else deepcopy(network).bfloat16()(images.bfloat16())
    with torch.no_grad():
        expected = network(images)
    best, second = expected.topk(2).values.T
    told_apart = best - second > 0.02
    assert told_apart.float().mean() > 0.2
    assert torch.equal(got.argmax(1)[told_apart], expected.argmax(1)[told_apart])
    assert (got - expected).abs().max() < 0.02
