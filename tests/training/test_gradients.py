"""Convolutions in bf16 with quicker gradients: against those in float64, and who gets them."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from convlens.training import depthwise
from convlens.training.convolution import Convolution
from convlens.training.gradients import DEPTHWISE, SMALL_MAPS, QuickGradients, Way, has_slow_gradients
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
    is_slow = max(conv.stride) > 1 or conv.kernel_size[1] > 3
    assert way_of(conv, torch.randn(4, 6, 14, 17)) is (DEPTHWISE if is_slow else None)
    check_gradients(conv, (14, 17))


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "side"),
    [
        (3, 1, 1, (4, 4)),
        (3, 1, 1, (1, 1)),
        (3, 1, 1, (2, 3)),
        (3, 1, 0, (3, 3)),
        (3, 2, 1, (7, 8)),
        (1, 1, 0, (3, 3)),
        (1, 2, 0, (7, 5)),
        ((1, 3), (1, 2), (0, 1), (2, 9)),
        ((3, 2), (2, 1), (1, 0), (5, 4)),
    ],
)
def test_gradients_to_small_maps_are_those_of_float64_too(kernel, stride, padding, side, bias):
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 72, kernel, stride, padding, bias=bias)
    assert way_of(conv, torch.randn(4, 64, *side)) is SMALL_MAPS
    check_gradients(conv, side)


def way_of(conv: nn.Conv2d, images: Tensor) -> Way | None:
    """Of the gradients that a convolution has in training."""
    found = BF16.forward_of(conv, CPU)(images).grad_fn
    return found.way if type(found).__name__ == "_QuickConvolutionBackward" else None  # type: ignore[union-attr]


def check_gradients(conv: nn.Conv2d, side: tuple[int, int]) -> None:
    images = torch.randn(4, conv.in_channels, *side).bfloat16().float().contiguous(memory_format=torch.channels_last)
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
    slopes, shape = torch.randn(5, 4, 5, 6).bfloat16(), Convolution((2, 2), (1, 1), 4)
    monkeypatch.setattr(depthwise, "NEAR", near)
    exact = torch.nn.grad.conv2d_input(images.shape, weight, slopes.float(), (2, 2), (1, 1), groups=4)
    assert torch.equal(depthwise.by_input(images, weight, slopes, shape), exact.bfloat16())


def calls(*shape: int, **options: object) -> str:
    with torch.autocast("cpu", torch.bfloat16), QuickGradients():
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
    assert calls(*shape, **options) == "_QuickConvolutionBackward"


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
    assert calls(*shape, **options) != "_QuickConvolutionBackward"


def test_a_part_that_a_network_keeps_in_float32_or_float64_stays_so():
    conv, images = nn.Conv2d(6, 6, 5, 2, groups=6), torch.randn(2, 6, 12, 12)
    with torch.autocast("cpu", torch.bfloat16), QuickGradients():
        with torch.autocast("cpu", enabled=False):
            kept = conv(images)
        double = copy.deepcopy(conv).double()(images.double())
    assert torch.equal(kept, conv(images))
    assert kept.dtype == torch.float32
    assert double.dtype == torch.float64


def ways_of(choice: Choice, network: nn.Module, side: int) -> Counter[Way]:
    """To the gradients of the convolutions of a step, where these are ours."""
    waiting, seen = [choice.forward_of(network, CPU)(torch.randn(2, 3, side, side)).grad_fn], set()
    while waiting:
        function = waiting.pop()
        if function is not None and function not in seen:
            seen.add(function)
            waiting += [before for before, _ in function.next_functions]
    return Counter(function.way for function in seen if type(function).__name__ == "_QuickConvolutionBackward")


def test_a_training_in_bf16_has_them_and_one_in_float32_has_not():
    network = create("mobilenet_v3_large", num_classes=4, image_size=64).train()
    assert has_slow_gradients(network)
    ways = ways_of(BF16, network, 64)
    assert ways[DEPTHWISE] == 8  # table 1: six of 5 x 5, and two of 3 x 3 with stride 2
    assert ways[SMALL_MAPS] == 16  # ten of squeeze-and-excite, to one place, and six 1 x 1 to 4 x 4 places
    assert not ways_of(Choice("fp32", "channels_last", 1), network, 64)


def test_maps_are_small_when_the_pictures_are():
    network = create("resnet18", num_classes=4, image_size=32).train()
    assert has_slow_gradients(network)
    assert ways_of(BF16, network, 32) == {SMALL_MAPS: 5}  # the last stage: four of 3 x 3, and the shortcut
    assert not ways_of(BF16, network, 64)


def test_a_map_of_more_than_16_places_is_not_small():
    conv = nn.Conv2d(64, 64, 3, padding=1)
    assert way_of(conv, torch.randn(2, 64, 2, 8)) is SMALL_MAPS
    assert way_of(conv, torch.randn(2, 64, 1, 17)) is None


@pytest.mark.parametrize("conv", [nn.Conv2d(3, 512, 3), nn.Conv2d(64, 64, 5), nn.Conv2d(64, 64, 3, dilation=2)])
def test_few_channels_wide_filters_and_dilated_ones_are_left_to_torch_on_small_maps_too(conv):
    assert not has_slow_gradients(conv)
    with torch.autocast("cpu", torch.bfloat16), QuickGradients():
        found = conv(torch.randn(2, conv.in_channels, 5, 5))
    assert type(found.grad_fn).__name__ == "ConvolutionBackward0"


def test_a_network_without_such_layers_is_called_as_it_is():
    network = create("lenet5", num_classes=4, in_channels=3).train()
    assert not has_slow_gradients(network)
    assert not ways_of(BF16, network, 28)


@pytest.mark.parametrize(("name", "side"), [("mobilenet_v2", 64), ("resnet18", 32)])
def test_a_whole_network_has_the_gradients_that_torch_gives_it_in_bf16(name, side):
    torch.manual_seed(0)
    network = create(name, num_classes=4, image_size=side).eval()
    images, labels = torch.randn(8, 3, side, side), torch.arange(8) % 4

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


class Wrapped(nn.Module):
    """A layer whose forward pass is run again in the backward pass, to save memory."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: Tensor) -> Tensor:
        return checkpoint(self.layer, images, use_reentrant=False)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "conv", [nn.Conv2d(64, 64, 3), nn.Conv2d(6, 6, 5, 2, groups=6)], ids=["small map", "depthwise"]
)
def test_a_part_may_be_computed_again_in_the_backward_pass(conv):
    images = torch.randn(2, conv.in_channels, 6, 6)
    found = []
    for layer in (conv, Wrapped(conv)):
        conv.zero_grad()
        BF16.forward_of(layer, CPU)(images).sum().backward()
        found.append(conv.weight.grad.clone())
    torch.testing.assert_close(*found, rtol=0.02, atol=0.05)


def test_a_function_of_the_weights_may_be_differentiated():
    conv, images = nn.Conv2d(64, 64, 3), torch.randn(2, 64, 4, 4)
    forward = BF16.forward_of(conv, CPU)
    forward(images).float().square().sum().backward()

    def loss(weights: dict[str, Tensor]) -> Tensor:
        with BF16.autocast(CPU), QuickGradients():
            return torch.func.functional_call(conv, weights, images).float().square().sum()

    found = torch.func.grad(loss)({name: weight.detach() for name, weight in conv.named_parameters()})
    torch.testing.assert_close(found["weight"], conv.weight.grad)


def test_a_layer_that_does_not_know_its_size_yet_is_no_reason_to_stop():
    assert not has_slow_gradients(nn.LazyConv2d(64, 3))
