"""Folding a normalisation into its convolution changes no answer, and is left alone where it would."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.engines import foldable, folded
from convlens.layers import BiasNorm2d, SameConv2d
from convlens.zoo import create

SIDE = 32
# fmt: off
NETWORKS = {  # name -> (options, normalisations, those that stay)
    "mobilenet_v1":       ({"width": 0.25}, 27, 0),
    "mobilenet_v2":       ({"width": 0.35}, 52, 0),
    "mobilenet_v3_small": ({"width": 0.25}, 34, 0),
    "mnasnet0_5":         ({}, 52, 0),
    "resnet18":           ({}, 20, 0),
    "resnet20":           ({}, 19, 0),
    "sprint_cifar":       ({}, 6, 3),  # pooled before it is normalised
    "vgg11_bn":           ({}, 8, 0),
    "shufflenet_v1":      ({}, None, 0),
    "densenet121":        ({}, 121, 62),  # pre-activation: half of them have no convolution before them
    "shufflenet_v2_x0_5": ({}, 56, 0),
    "squeezenet1_1":      ({}, 0, 0),
}
# fmt: on


def unsettled(network: nn.Module) -> nn.Module:
    """With statistics and weights as after training, none of them 0 or 1."""
    generator = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            assert layer.running_mean is not None and layer.running_var is not None
            layer.running_mean.normal_(0, 0.1, generator=generator)
            layer.running_var.uniform_(0.5, 1.5, generator=generator)
            with torch.no_grad():
                for parameter in layer.parameters():
                    parameter.uniform_(0.5, 1.0, generator=generator)
    return network.eval()


def norms(network: nn.Module) -> int:
    return sum(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules())


def agree(network: nn.Module, other: nn.Module, shape: tuple[int, ...]) -> None:
    """To 1e-5 of the largest logit."""
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = network(images), other(images)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_folding_changes_no_answer(name: str) -> None:
    options, there, stay = NETWORKS[name]
    torch.manual_seed(0)
    network = unsettled(create(name, num_classes=5, image_size=SIDE, **options))
    before = copy.deepcopy(network.state_dict())
    other = folded(network, (3, SIDE, SIDE))
    assert there is None or norms(network) == there
    assert norms(other) == stay
    agree(network, other, (3, SIDE, SIDE))
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


class Wired(nn.Module):
    """A convolution and a normalisation, joined as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)


class ReadTwice(Wired):
    def forward(self, images: Tensor) -> Tensor:
        found = self.convolution(images)
        return (found + self.norm(found)).flatten(1)


class GivenOutToo(Wired):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = self.convolution(images)
        return self.norm(found), found


class CalledTwice(Wired):
    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.convolution(images)) + self.convolution(images)


class NormalisedFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.convolution = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.convolution(self.norm(images)).flatten(1)


class Functional(Wired):
    def forward(self, images: Tensor) -> Tensor:
        return self.norm(F.conv2d(images, self.convolution.weight)).flatten(1)


class Standardised(nn.Conv2d):
    """Its filters are computed from its weights at each call."""

    def forward(self, images: Tensor) -> Tensor:
        return F.conv2d(images, self.weight - self.weight.mean(), self.bias)


class OfComputedFilters(Wired):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = Standardised(3, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.convolution(images)).flatten(1)


class Tied(nn.Module):
    """Two convolutions of the same filters."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.norm = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)
        self.other.weight = self.one.weight

    def forward(self, images: Tensor) -> Tensor:
        return self.other(self.norm(self.one(images))).flatten(1)


class Transposed(Wired):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(3, 4, 3)  # type: ignore[assignment]

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.convolution(images)).flatten(1)


class Doubled(Wired):
    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.convolution(images) * 2).flatten(1)


class OfThisBatch(Wired):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.convolution(images)).flatten(1)


class NormAct(nn.BatchNorm2d):
    """As timm's BatchNormAct2d."""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(super().forward(input))


class Activated(Wired):
    def __init__(self) -> None:
        super().__init__()
        self.norm = NormAct(4)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.convolution(images)).flatten(1)


class Unbiased(nn.Conv2d):
    """Never reads the bias that folding would give it."""

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight)


class UnbiasedInside(nn.Conv2d):
    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(input, weight)


class WithoutBias(Activated):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = Unbiased(3, 4, 3, bias=False), nn.BatchNorm2d(4)


class WithoutBiasInside(Activated):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = UnbiasedInside(3, 4, 3, bias=False), nn.BatchNorm2d(4)


class OfAnotherForward(Activated):
    """Given to the module itself, as some libraries do to wrap it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4)
        self.norm.forward = lambda images: F.batch_norm(  # type: ignore[method-assign]
            images, self.norm.running_mean, self.norm.running_var, self.norm.weight, self.norm.bias
        ).relu()


class SkippedByValue(Wired):
    """Bright pictures are not normalised."""

    def forward(self, images: Tensor) -> Tensor:
        maps = self.convolution(images)
        return (self.norm(maps) if images.mean() < 0.5 else maps).flatten(1)


STAYING = [
    ReadTwice, GivenOutToo, CalledTwice, NormalisedFirst, Functional, OfComputedFilters, Tied, Transposed, Doubled,
    OfThisBatch, Activated, WithoutBias, WithoutBiasInside, OfAnotherForward, SkippedByValue,
]  # fmt: skip


@pytest.mark.parametrize("kind", STAYING)
def test_what_cannot_be_folded_stays(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = kind().eval()
    assert foldable(network, (3, 8, 8)) == []
    assert norms(folded(network, (3, 8, 8))) == 1


@pytest.mark.parametrize("kind", [Activated, WithoutBias, WithoutBiasInside])
def test_what_a_subclass_does_is_kept(kind: type[Wired]) -> None:
    torch.manual_seed(0)
    network = kind()
    unsettled(network)
    with torch.no_grad():
        network.norm.bias.neg_()  # so that there is something to rectify
    agree(network, folded(network, (3, 8, 8)), (3, 8, 8))


class Plain(Wired):
    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.convolution(images)).flatten(1)


class OfTwoNames(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.same = self.norm

    def forward(self, images: Tensor) -> Tensor:
        return self.same(self.convolution(images)).flatten(1)


@pytest.mark.parametrize("kind", [Plain, OfTwoNames])
def test_what_can_be_folded_goes(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = unsettled(kind())
    assert foldable(network, (3, 8, 8)) == [("convolution", "norm")]
    other = folded(network, (3, 8, 8))
    assert norms(other) == 0
    agree(network, other, (3, 8, 8))


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(4, affine=False), BiasNorm2d(4)])
def test_normalisations_without_weights_are_folded(norm: nn.Module) -> None:
    torch.manual_seed(0)
    network = unsettled(nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.Flatten()))
    other = folded(network, (3, 8, 8))
    assert norms(other) == 0
    agree(network, other, (3, 8, 8))


def test_a_convolution_padded_as_tensorflow_does_is_folded() -> None:
    torch.manual_seed(0)
    network = unsettled(nn.Sequential(SameConv2d(3, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4), nn.Flatten()))
    other = folded(network, (3, 8, 8))
    assert norms(other) == 0
    agree(network, other, (3, 8, 8))


class Called(nn.BatchNorm2d):
    def __call__(self, *inputs: Tensor) -> Tensor:
        return super().__call__(*inputs).relu()


class OfAnotherCall(Activated):
    def __init__(self) -> None:
        super().__init__()
        self.norm = Called(4)


class AskedForItsKind(Plain):
    def forward(self, images: Tensor) -> Tensor:
        maps = super().forward(images)
        return maps.relu() if isinstance(self.norm, nn.BatchNorm2d) else maps


class AskedForItsBias(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * (1 if self.convolution.bias is None else 2)


class AskedForItsSize(Plain):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).view(images.shape[0], self.norm.num_features, -1).mean(2)


@pytest.mark.parametrize("kind", [OfAnotherCall, AskedForItsKind, AskedForItsBias, AskedForItsSize])
def test_a_network_that_asks_what_its_modules_are_stays(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = unsettled(kind())
    other = folded(network, (3, 8, 8))
    assert norms(other) == 1
    agree(network, other, (3, 8, 8))


def test_a_watched_layer_stays() -> None:
    network = Plain().eval()
    network.norm.register_forward_hook(lambda *_: None)
    assert foldable(network, (3, 8, 8)) == []


def test_a_network_in_training_is_folded_for_evaluation_and_goes_on_training() -> None:
    network = unsettled(Plain()).train()
    other = folded(network, (3, 8, 8))
    assert network.training and norms(network) == 1 and not other.training
    agree(copy.deepcopy(network).eval(), other, (3, 8, 8))
