"""What goes wrong in a network, in a target function or in a method is told in one line."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.utils.checkpoint
from torch import Tensor, nn

from convlens.errors import ExplanationError, UsageError
from convlens.explanation import (
    Method,
    Question,
    check_method,
    exciting,
    explain,
    feature_maps,
    filters,
    maximise,
    randomisation_check,
    sanity_check,
)
from convlens.explanation.contract import difference, network_state


class Failing(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.layer, self.error = nn.Conv2d(3, 4, 3), error

    def forward(self, pictures: Tensor) -> Tensor:
        raise self.error


class TwoInputs(nn.Module):
    def forward(self, pictures: Tensor, more: Tensor) -> Tensor:
        return pictures.mean((2, 3)) + more


def asked_of(network: nn.Module, images: Tensor) -> list[Callable[[], object]]:
    return [
        *(lambda method=method: explain(network, images, method=method) for method in ("saliency", "occlusion")),
        lambda: feature_maps(network, images, "layer"),
        lambda: exciting(network, [images], "layer", 0),
        lambda: maximise(network, 0, images.shape[1:], steps=1),
    ]


def test_whatever_a_network_raises_is_told_as_an_error_of_ours(images: Tensor) -> None:
    for error in (KeyError("planned"), AssertionError("planned"), ValueError("planned")):
        for ask in asked_of(Failing(error), images):
            with pytest.raises(ExplanationError, match=r"Failing failed on pictures \(\d, 3, 32, 24\).*planned"):
                ask()
    with pytest.raises(ExplanationError, match=r"TwoInputs needs pictures, more, and .* gives .* one tensor"):
        explain(TwoInputs(), images, method="saliency")


@pytest.mark.parametrize("method", ["saliency", "occlusion", "grad_cam", "score_cam"])
def test_an_error_in_a_target_function_names_the_function(method: str, residual: nn.Module, images: Tensor) -> None:
    with pytest.raises(UsageError, match=r"the target function failed on logits \(3, 5\): IndexError"):
        explain(residual, images, lambda logits: logits[:, 7], method=method)


def test_a_target_function_is_blamed_for_what_it_does(residual: nn.Module, images: Tensor) -> None:
    with pytest.raises(ExplanationError, match="the target function gives a score without a gradient"):
        explain(residual, images, lambda logits: logits[:, 0].detach(), method="saliency")
    with pytest.raises(UsageError, match="the target function gave nan for a picture whose logits are finite"):
        explain(residual, images, lambda logits: (logits[:, 0] * 0).log() * 0, method="saliency")


def test_weights_made_in_inference_mode_take_part_in_no_gradient(images: Tensor) -> None:
    with torch.inference_mode():
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(ExplanationError, match=r"made under torch.inference_mode.*make the network outside it"):
        explain(network, images, method="saliency")
    assert explain(network, images, method="occlusion").maps.any()


def test_a_layer_without_feature_maps_is_told_what_to_name(mlp: nn.Module, images: Tensor) -> None:
    for ask in (lambda: feature_maps(mlp, images, "1"), lambda: exciting(mlp, [images], "1", 0)):
        with pytest.raises(ExplanationError, match=r"name a convolution or a block of them \(of the maps over"):
            ask()


def test_a_picture_of_one_pixel_is_occluded_as_a_whole() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    assert explain(network, torch.ones(1, 3, 1, 1), 1, method="occlusion").maps.any()


def boom(question: Question) -> Tensor:
    raise ValueError("boom")


def needs_gradients(question: Question) -> Tensor:
    return question.images.grad.abs()  # type: ignore[union-attr]


class Detached(nn.Module):
    """A network that fails under a gradient only, as with some checkpointing."""

    def forward(self, pictures: Tensor) -> Tensor:
        return torch.utils.checkpoint.checkpoint(lambda x: x[:, 9], pictures, use_reentrant=True)


@pytest.mark.parametrize(("function", "told"), [(boom, "ValueError: boom"), (needs_gradients, "AttributeError")])
def test_a_method_of_one_s_own_that_fails_is_named(
    function: Callable[[Question], Tensor], told: str, residual: nn.Module, images: Tensor
) -> None:
    mine = Method("mine", function, title="", sign="", source="")
    for ask in (lambda: explain(residual, images, method=mine), lambda: check_method(mine, residual, images)):
        with pytest.raises(ExplanationError, match=f"method mine failed: {told}.*look into the method's function"):
            ask()
    with pytest.raises(ExplanationError, match=r"Detached failed on pictures"):
        explain(Detached(), images, method=mine)


def test_an_option_may_not_be_called_as_an_argument_of_explain() -> None:
    def function(question: Question, images: int = 3) -> Tensor:
        return question.images[:images]

    with pytest.raises(UsageError, match="method mine has an option 'images', which is an argument of explain itself"):
        Method("mine", function, title="", sign="", source="")


def test_what_is_no_network_is_told_in_one_line(images: Tensor) -> None:
    for ask in (
        lambda: explain(None, images),
        lambda: maximise(None, 0, (3, 8, 8)),
        lambda: exciting(None, [images], "0", 0),
        lambda: feature_maps(None, images),
        lambda: filters(None),
        lambda: check_method("saliency", None, images),
    ):
        with pytest.raises(UsageError, match=r"the network came as NoneType; expected an nn\.Module"):
            ask()


def test_what_are_no_pictures_is_told_in_one_line(residual: nn.Module) -> None:
    with pytest.raises(UsageError, match=r"pictures came as NoneType; expected a float tensor"):
        check_method("saliency", residual, None)
    with pytest.raises(UsageError, match=r"batches came as NoneType; expected an iterable"):
        exciting(residual, None, "stem", 0)


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_lazy_layers_without_weights_are_told_in_one_line(images: Tensor) -> None:
    lazy = nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.ReLU())
    for ask in (
        lambda: explain(lazy, images, method="saliency"),
        lambda: maximise(lazy, 0, (3, 8, 8)),
        lambda: exciting(lazy, [images], "0", 0),
        lambda: feature_maps(lazy, images, "0"),
        lambda: filters(lazy),
        lambda: check_method("saliency", lazy, images),
    ):
        with pytest.raises(UsageError, match=r"a lazy layer of the network has no weights yet \('0.weight'\)"):
            ask()


@pytest.mark.filterwarnings("ignore")  # torch says that it will drop TorchScript and eager quantisation
def test_layers_of_torchscript_and_quantised_ones(images: Tensor) -> None:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    script = torch.jit.script(nn.Sequential(*layers).eval())
    for ask in (
        lambda: feature_maps(script, images, "0"),
        lambda: exciting(script, [images], "0", 0),
        lambda: maximise(script, 0, (3, 32, 24), layer="0", steps=1),
        lambda: explain(script, images, method="grad_cam", layer="0"),
    ):
        with pytest.raises(ExplanationError, match="layer '0' is TorchScript, which cannot be looked into"):
            ask()
    quantised = statically_quantised(nn.Sequential(*layers).eval(), images)
    maps = feature_maps(quantised, images, "1")
    assert maps.shape == (3, 4, 30, 22) and maps.any()
    assert exciting(quantised, [images], "1", 0)[0][0].value == maps[:, 0].max()
    with pytest.raises(ExplanationError, match="no gradient to the pixels"):
        maximise(quantised, 0, (3, 32, 24), layer="1", steps=1)


def statically_quantised(network: nn.Sequential, images: Tensor) -> nn.Module:
    engine = torch.backends.quantized.engine
    quantised = nn.Sequential(torch.ao.quantization.QuantStub(), *network, torch.ao.quantization.DeQuantStub()).eval()
    quantised.qconfig = torch.ao.quantization.get_default_qconfig(engine)  # type: ignore[assignment]
    torch.ao.quantization.prepare(quantised, inplace=True)
    quantised(images)
    return torch.ao.quantization.convert(quantised, inplace=True)


@pytest.mark.parametrize("seed", [-1, 0.5, "a", True])
def test_the_seed_of_the_checks_is_a_whole_number(seed: object, residual: nn.Module, images: Tensor) -> None:
    for check in (sanity_check, randomisation_check):
        with pytest.raises(UsageError, match=r"check_seed is .*, expected a whole number of at least 0"):
            check(residual, images, method="saliency", check_seed=seed)


class Counting(nn.Module):
    """Changes its buffers at every pass: one in place, one not."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("passes", torch.zeros(()))
        self.register_buffer("largest", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        self.passes.add_(1)
        self.largest = images.amax()
        return self.network(images)


class Forced(nn.BatchNorm2d):
    def train(self, mode: bool = True) -> Forced:
        return super().train(True)


def test_buffers_are_given_back_as_they_were(residual: nn.Module, images: Tensor) -> None:
    counting = Counting(residual)
    before = network_state(counting)
    asks: list[Callable[[nn.Module], object]] = [
        lambda network: explain(network, images, method="saliency"),
        lambda network: maximise(network, 0, (3, 32, 24), steps=2),
        lambda network: exciting(network, [images], "network.stem", 0),
        lambda network: feature_maps(network, images, "network.stem"),
    ]
    largest = counting.largest
    for ask in asks:
        ask(counting)
        assert difference(before, network_state(counting)) == ""
    assert counting.largest is largest
    assert len(check_method("saliency", counting, images)) == 12
    residual.stem[1] = Forced(8)
    before = network_state(counting)
    for ask in asks:
        with pytest.raises(ExplanationError, match="hangs on the others"):
            ask(counting)
        assert difference(before, network_state(counting)) == ""


class OfTwo(nn.Module):
    """For two pictures at a time and no other number, as an exported network may be."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.relu().reshape(2, 3, -1).mean(2))


def test_a_network_that_fails_in_a_check_is_told_in_one_line() -> None:
    images = torch.randn(2, 3, 12, 12)
    explain(OfTwo(), images, method="saliency")
    with pytest.raises(ExplanationError, match="OfTwo failed on pictures"):
        sanity_check(OfTwo(), images, method="saliency")


@pytest.mark.parametrize("clip", [2.0, -0.1])
def test_a_share_of_pixels_lies_between_none_and_all(clip: float) -> None:
    found = explain(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), torch.randn(1, 3, 4, 4), method="saliency")
    with pytest.raises(UsageError, match=r"clip came as .*; expected 0 to 1"):
        found.heat(clip=clip)
