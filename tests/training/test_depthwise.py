"""Depthwise convolutions in bf16: their gradients against those in float64, and who gets them."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.training import depthwise
from convlens.training.depthwise import QuickDepthwise, has_slow_depthwise
from convlens.training.precision import Choice
from convlens.zoo import create

BF16 = Choice("bf16", "channels_last", 1)
CPU = torch.device("cpu")
ROUNDING = 2**-7  # of the largest: a sum of products of numbers of 8 bits, itself rounded to 8


def gradients(conv: nn.Module, images: Tensor, slopes: Tensor, *, quick: bool) -> list[Tensor]:
    """By the pictures, the filters and the bias."""
    images = images.clone().requires_grad_()
    conv.zero_grad()
    found = BF16.forward_of(conv, CPU)(images) if quick else conv(images)
    found.backward(slopes.to(found.dtype))
    return [images.grad, *(weight.grad for weight in conv.parameters())]  # type: ignore[list-item]


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("stride", [1, 2, 3, (1, 2), (2, 1)])
@pytest.mark.parametrize(
    ("kernel", "padding"), [(3, 1), (3, 0), (5, 2), (5, 0), (7, 3), (4, 1), ((3, 5), (1, 2)), ((5, 2), 1), ((1, 9), 0)]
)
def test_gradients_are_those_of_float64_to_the_rounding_of_bf16(kernel, padding, stride, bias):
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 6, kernel, stride, padding, groups=6, bias=bias)
    images = torch.randn(4, 6, 14, 17).bfloat16().float().contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        for weight in conv.parameters():
            weight.copy_(weight.bfloat16())  # so that only sums are rounded
    slopes = torch.randn_like(conv(images)).bfloat16().float()
    exact = gradients(copy.deepcopy(conv).double(), images.double(), slopes.double(), quick=False)
    for quick, true in zip(gradients(conv, images, slopes, quick=True), exact, strict=True):
        assert quick.dtype == torch.float32
        assert quick.shape == true.shape
        assert (quick - true).abs().max() < ROUNDING * true.abs().max()


@pytest.mark.parametrize("near", [1, 6000, 1 << 20], ids=["two at a time", "an odd last one", "all at once"])
def test_pictures_that_come_a_few_at_a_time_have_the_same_gradients(near, monkeypatch):
    torch.manual_seed(0)
    images, weight = torch.randn(5, 4, 9, 11).bfloat16(), torch.randn(4, 1, 3, 3)
    slopes, shape = torch.randn(5, 4, 5, 6).bfloat16(), {"stride": (2, 2), "padding": (1, 1), "groups": 4}
    monkeypatch.setattr(depthwise, "NEAR", near)
    exact = torch.nn.grad.conv2d_input(images.shape, weight, slopes.float(), **shape)
    assert torch.equal(depthwise.by_input(images, weight, slopes, shape), exact.bfloat16())


def calls(*shape: int, **options: object) -> str:
    with torch.autocast("cpu", torch.bfloat16), QuickDepthwise():
        weight = torch.randn(*shape, requires_grad=True)
        return type(F.conv2d(torch.randn(2, 6, 12, 12), weight, **options).grad_fn).__name__  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((6, 1, 3, 3), {"groups": 6, "stride": 2}),
        ((6, 1, 5, 5), {"groups": 6}),
        ((6, 1, 3, 5), {"groups": 6, "padding": (1, 2), "bias": torch.zeros(6)}),
    ],
    ids=["stride", "wide", "wide one way"],
)
def test_the_slow_ones_have_gradients_of_ours(shape, options):
    assert calls(*shape, **options) == "_DepthwiseBackward"


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((6, 1, 3, 3), {"groups": 6}),
        ((6, 1, 5, 3), {"groups": 6}),
        ((6, 6, 5, 5), {"stride": 2}),
        ((6, 2, 5, 5), {"groups": 3, "stride": 2}),
        ((12, 1, 5, 5), {"groups": 6, "stride": 2}),
        ((6, 1, 3, 3), {"groups": 6, "stride": 2, "dilation": 2}),
        ((6, 1, 5, 5), {"groups": 6, "padding": "same"}),
    ],
    ids=["narrow", "tall", "dense", "grouped", "two filters a channel", "dilated", "padding by name"],
)
def test_the_others_are_left_to_torch(shape, options):
    assert calls(*shape, **options) != "_DepthwiseBackward"


def test_a_part_that_a_network_keeps_in_float32_or_float64_stays_so():
    conv, images = nn.Conv2d(6, 6, 5, 2, groups=6), torch.randn(2, 6, 12, 12)
    with torch.autocast("cpu", torch.bfloat16), QuickDepthwise():
        with torch.autocast("cpu", enabled=False):
            kept = conv(images)
        double = copy.deepcopy(conv).double()(images.double())
    assert torch.equal(kept, conv(images))
    assert kept.dtype == torch.float32
    assert double.dtype == torch.float64


def slow_calls(choice: Choice, network: nn.Module) -> int:
    """How many convolutions of a step have gradients of ours."""
    waiting, seen = [choice.forward_of(network, CPU)(torch.randn(2, 3, 64, 64)).grad_fn], set()
    while waiting:
        function = waiting.pop()
        if function is not None and function not in seen:
            seen.add(function)
            waiting += [before for before, _ in function.next_functions]
    return sum(type(function).__name__ == "_DepthwiseBackward" for function in seen)


def test_a_training_in_bf16_has_them_and_one_in_float32_has_not():
    network = create("mobilenet_v3_large", num_classes=4, image_size=64).train()
    assert has_slow_depthwise(network)
    assert slow_calls(BF16, network) == 8  # table 1: six of 5 x 5, and two of 3 x 3 with stride 2
    assert slow_calls(Choice("fp32", "channels_last", 1), network) == 0


def test_a_network_without_such_layers_is_called_as_it_is():
    network = create("resnet18", num_classes=4, image_size=64).train()
    assert not has_slow_depthwise(network)
    assert slow_calls(BF16, network) == 0


def test_a_whole_network_has_the_gradients_that_torch_gives_it_in_bf16():
    torch.manual_seed(0)
    network = create("mobilenet_v2", num_classes=4, image_size=64).eval()
    images, labels = torch.randn(8, 3, 64, 64), torch.arange(8) % 4

    def gradient(dtype: torch.dtype, call: object) -> Tensor:
        network.zero_grad()
        F.cross_entropy(call(images.to(dtype)).to(dtype), labels).backward()  # type: ignore[operator]
        return torch.cat([weight.grad.flatten().double() for weight in network.parameters()])  # type: ignore[union-attr]

    def plainly(images: Tensor) -> Tensor:
        with BF16.autocast(CPU):
            return network(images)

    exact = gradient(torch.float32, network)
    quick, plain = (
        F.cosine_similarity(exact, gradient(torch.float32, call), dim=0)
        for call in (BF16.forward_of(network, CPU), plainly)
    )
    assert quick > 0.95
    assert 1 - quick < 1.1 * (1 - plain)


def test_nothing_stays_on_the_network():
    network = create("mobilenet_v3_small", num_classes=4, image_size=32)
    before = {name: set(vars(layer)) for name, layer in network.named_modules()}
    BF16.forward_of(network, CPU)(torch.randn(2, 3, 32, 32)).sum().backward()
    assert {name: set(vars(layer)) for name, layer in network.named_modules()} == before
    assert type(network(torch.randn(2, 3, 32, 32)).grad_fn).__name__ == "AddmmBackward0"


def test_a_gradient_can_be_differentiated_again():
    conv = nn.Conv2d(2, 2, 5, 2, 2, groups=2)
    images = torch.randn(2, 2, 9, 9, requires_grad=True)
    (slopes,) = torch.autograd.grad(BF16.forward_of(conv, CPU)(images).square().sum(), images, create_graph=True)
    slopes.square().sum().backward()
    assert conv.weight.grad is not None
    assert conv.weight.grad.abs().max() > 0
