"""Residual networks against the same mathematics written out with functions, in float64, and a real checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import convlens.zoo as zoo
from convlens.errors import UsageError
from convlens.layers import PaddedIdentity, make_shortcut

Weights = Iterator[Tensor]  # of a network, in the order in which published implementations keep them


def filled(name: str, **arguments: Any) -> zoo.Network:
    """In float64 and eval mode, with norms that are not the identity, so that a swapped tensor shows."""
    torch.manual_seed(0)
    network = zoo.create(name, **arguments).double().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_var, module.weight):
                nn.init.uniform_(tensor, 0.5, 1.5)  # type: ignore[arg-type]
            for tensor in (module.running_mean, module.bias):
                nn.init.normal_(tensor, std=0.1)  # type: ignore[arg-type]
    return network


def weights_of(network: nn.Module) -> Weights:
    return iter([tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")])


def conv(x: Tensor, weights: Weights, stride: int = 1) -> Tensor:
    weight = next(weights)
    groups = x.shape[1] // weight.shape[1]
    return functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)


def norm(x: Tensor, weights: Weights) -> Tensor:
    scale, shift, mean, variance = (next(weights) for _ in range(4))
    return functional.batch_norm(x, mean, variance, scale, shift)


def basic(x: Tensor, weights: Weights, stride: int) -> Tensor:
    return norm(conv(norm(conv(x, weights, stride), weights).relu(), weights), weights)


def bottleneck(x: Tensor, weights: Weights, stride: int) -> Tensor:
    x = norm(conv(x, weights), weights).relu()
    x = norm(conv(x, weights, stride), weights).relu()
    return norm(conv(x, weights), weights)


def around(x: Tensor, like: Tensor, weights: Weights, stride: int, option: str) -> Tensor:
    """The shortcut, or 0 in a plain network."""
    if option == "plain":
        return torch.zeros_like(like)
    if option == "C" or (option == "B" and x.shape != like.shape):
        return norm(conv(x, weights, stride), weights)
    padded = torch.zeros_like(like)
    first = (like.shape[1] - x.shape[1]) // 2
    padded[:, first : first + x.shape[1]] = x[:, :, ::stride, ::stride]
    return padded


def residual_network(network: zoo.Network, images: Tensor, kind: Any, counts: list[int], option: str) -> Tensor:
    """Stem, stages, mean over the picture, linear layer."""
    weights = weights_of(network)
    x = norm(conv(images, weights), weights).relu()
    for number, count in enumerate(counts):
        for index in range(count):
            stride = 2 if number and not index else 1
            inside = kind(x, weights, stride)
            x = (inside + around(x, inside, weights, stride, option)).relu()
    logits = functional.linear(x.mean((2, 3)), next(weights), next(weights))
    assert next(weights, None) is None
    return logits


@pytest.mark.parametrize(
    ("name", "kind", "counts", "option"),
    [
        ("plain18", basic, [2, 2, 2, 2], "plain"),
        ("plain34", basic, [3, 4, 6, 3], "plain"),
        ("resnet18", basic, [2, 2, 2, 2], "A"),
        ("resnet18", basic, [2, 2, 2, 2], "C"),
        ("resnet50", bottleneck, [3, 4, 6, 3], "A"),
        ("resnet50", bottleneck, [3, 4, 6, 3], "C"),
        ("resnet20", basic, [3, 3, 3], "A"),
        ("resnet20", basic, [3, 3, 3], "B"),
        ("resnet32", basic, [5, 5, 5], "C"),
    ],
)
def test_a_network_gives_the_logits_of_its_mathematics(name: str, kind: Any, counts: list[int], option: str) -> None:
    options: dict[str, Any] = {} if option == "plain" else {"shortcut": option}
    if "width" in zoo.entry(name).options:
        options["width"] = 0.25
    network = filled(name, num_classes=7, image_size=32, **options)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(images), residual_network(network, images, kind, counts, option))


def test_a_wide_network_gives_the_logits_of_its_mathematics() -> None:
    network = filled("wide_resnet16_8", num_classes=7)
    images = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    weights = weights_of(network)
    x = conv(images, weights)
    for stride in (1, 2, 2):
        for block_stride in (stride, 1):
            a = norm(x, weights).relu()
            inside = conv(norm(conv(a, weights, block_stride), weights).relu(), weights)
            x = inside + (x if x.shape == inside.shape else conv(a, weights, block_stride))
    x = norm(x, weights).relu()
    expected = functional.linear(x.mean((2, 3)), next(weights), next(weights))
    assert next(weights, None) is None
    with torch.no_grad():
        torch.testing.assert_close(network(images), expected)


def test_dropout_of_a_wide_network_acts_in_training_only() -> None:
    network = zoo.create("wide_resnet16_8", num_classes=10, dropout=0.3)
    x = torch.randn(2, 16, 8, 8)
    residual = network.get_submodule("stages.0.0.residual")
    assert torch.equal(residual.eval()(x), residual(x))
    assert not torch.equal(residual.train()(x), residual(x))
    for wrong in (1, -0.1, True, "half"):
        with pytest.raises(UsageError, match=r"dropout is .*, expected the share of values to leave out"):
            zoo.create("wide_resnet16_8", dropout=wrong)


def test_the_shortcut_options_differ_by_the_parameters_of_their_projections() -> None:
    """B - A: a projection with its norm for each change of shape; C - B: one more for every other block."""
    counts = {}
    for option in "ABC":
        with torch.device("meta"):
            network = zoo.create("resnet34", shortcut=option)
        counts[option] = sum(parameter.numel() for parameter in network.parameters())
    changes = sum(a * b + 2 * b for a, b in ((64, 128), (128, 256), (256, 512)))
    others = sum(blocks * (width**2 + 2 * width) for width, blocks in ((64, 3), (128, 3), (256, 5), (512, 2)))
    assert counts["B"] - counts["A"] == changes
    assert counts["C"] - counts["B"] == others
    assert counts["A"] == zoo.FACTS["plain34"].parameters


def test_zero_channels_come_half_before_and_half_after() -> None:
    x = torch.arange(1.0, 33.0).reshape(1, 2, 4, 4)
    y = make_shortcut(2, 5, 2, "A")(x)
    assert torch.equal(y[:, 1:3], x[:, :, ::2, ::2])
    assert not y[:, [0, 3, 4]].any()
    assert isinstance(make_shortcut(2, 2, 1, "A"), nn.Identity) and isinstance(
        make_shortcut(2, 2, 2, "A"), PaddedIdentity
    )


def test_an_unknown_shortcut_is_refused_with_the_options() -> None:
    with pytest.raises(UsageError, match=r"shortcut is 'D', expected 'A' \(padded\), 'B' .* or 'C'"):
        zoo.create("resnet20", shortcut="D")


def test_a_cifar_network_halves_larger_pictures_before_its_stages() -> None:
    for name in ("resnet20", "wide_resnet16_8"):
        for size, side in ((32, 8), (33, 5), (64, 8), (65, 5), (128, 8)):
            with torch.device("meta"):
                network = zoo.create(name, image_size=size)
                assert network.stages(network.stem(torch.empty(1, 3, size, size))).shape[2:] == (side, side)  # type: ignore[operator]


def test_the_published_resnet20_classifies_cifar_pictures(shared_data: Path) -> None:
    from PIL import Image

    network = zoo.create("resnet20", num_classes=10, weights=shared_data / "weights" / "resnet20-12fca82f.th").eval()
    grid = np.asarray(Image.open(shared_data / "cifar10" / "sheet_50.webp").convert("RGB"))  # 25 rows of 40 pictures
    pixels = torch.from_numpy(grid.reshape(25, 32, 40, 32, 3).transpose(0, 2, 4, 1, 3).reshape(1000, 3, 32, 32).copy())
    labels = np.frombuffer((shared_data / "cifar10" / "labels.bin").read_bytes(), np.uint8)[50_000:]
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.no_grad():
        classes = network((pixels / 255 - mean) / std).argmax(1).numpy()
    assert (classes == labels).mean() == pytest.approx(0.915, abs=0.0015)
