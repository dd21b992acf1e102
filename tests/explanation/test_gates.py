"""The guided and deconvolution rules at every gate, however it is written, against their definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convlens import zoo
from convlens.errors import ExplanationError, UsageError
from convlens.explanation import explain

Gate = Callable[[Tensor], Tensor]
LINEAR: dict[str, Gate] = {
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU in place": nn.ReLU(inplace=True),
    "F.relu": F.relu,
    "torch.relu": torch.relu,
    "relu_": lambda x: x.relu_(),
    "clamp": lambda x: x.clamp(min=0),
    "clamp_min": lambda x: torch.clamp_min(x, 0),
    "nn.ReLU6": nn.ReLU6(),
    "F.relu6": F.relu6,
    "clamp 0..6": lambda x: x.clamp(0, 6),
    "F.hardtanh": F.hardtanh,
    "nn.LeakyReLU": nn.LeakyReLU(0.1),
    "F.leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "nn.PReLU": nn.PReLU(init=0.3),
    "nn.RReLU": nn.RReLU(),
    "F.threshold": lambda x: F.threshold(x, 0.5, 0.0),
    "clamp -1..1": lambda x: x.clamp(-1, 1),
    "F.softshrink": lambda x: F.softshrink(x, 0.3),
    "F.hardshrink": lambda x: F.hardshrink(x, 0.3),
}
SMOOTH: dict[str, tuple[Gate, str]] = {
    "nn.Hardswish": (nn.Hardswish(), "1 of Hardswish"),
    "F.hardswish": (F.hardswish, "1 of Hardswish"),
    "nn.SiLU": (nn.SiLU(), "1 of SiLU"),
    "nn.GELU": (nn.GELU(), "1 of GELU"),
    "tanh GELU": (lambda x: F.gelu(x, approximate="tanh"), "1 of GELU"),
    "nn.ELU": (nn.ELU(), "1 of ELU"),
    "nn.SELU": (nn.SELU(), "1 of ELU"),
    "nn.ELU in place": (nn.ELU(inplace=True), "1 of ELU"),
    "nn.CELU in place": (nn.CELU(inplace=True), "1 of CELU"),
    "nn.CELU": (nn.CELU(2.0), "1 of CELU"),
    "nn.Mish": (nn.Mish(), "1 of Mish"),
    "nn.Softplus": (nn.Softplus(), "1 of softplus"),
}


class Gated(nn.Module):
    """The score is sum(weight · gate(picture)), so that the gate's upstream gradient is the weight itself."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate
        self.weight = nn.Parameter(torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0)))

    def forward(self, images: Tensor) -> Tensor:
        return (self.weight * self.gate(images * 1)).sum((1, 2, 3))[:, None]


@pytest.fixture
def images() -> Tensor:
    return 4 * torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(1))


def slope(gate: Gate, images: Tensor) -> Tensor:
    x = images.clone().requires_grad_()
    (found,) = torch.autograd.grad(gate(x * 1).sum(), x)
    return found


@pytest.mark.parametrize("name", LINEAR)
def test_the_rules_are_exact_at_every_piecewise_linear_gate(name: str, images: Tensor) -> None:
    model = Gated(LINEAR[name]).eval()
    for module in (part for part in (LINEAR[name],) if isinstance(part, nn.Module)):
        module.eval()
    upstream = model.weight.detach()
    guided = explain(model, images, 0, method="guided").attributions
    expected = slope(LINEAR[name], images) * upstream * (upstream > 0)
    np.testing.assert_array_equal(guided, expected.detach().numpy())
    deconv = explain(model, images, 0, method="deconv").attributions
    np.testing.assert_array_equal(deconv, upstream.clamp(min=0).expand_as(images).numpy())
    plain = explain(model, images, 0, method="saliency").attributions
    assert not np.array_equal(plain, guided)


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_gate_is_refused_unless_taken_for_a_relu(name: str, images: Tensor) -> None:
    gate, said = SMOOTH[name]
    model = Gated(gate)
    for method in ("guided", "deconv"):
        with pytest.raises(
            ExplanationError, match=f"{method} is not defined for smooth gates.*has {said}.*--rule gate"
        ):
            explain(model, images, 0, method=method)
    upstream = model.weight.detach().clamp(min=0)
    guided = explain(model, images, 0, method="guided", rule="gate").attributions
    np.testing.assert_array_equal(guided, (upstream * (images > 0)).numpy())
    deconv = explain(model, images, 0, method="deconv", rule="gate").attributions
    np.testing.assert_array_equal(deconv, upstream.expand_as(images).numpy())


@pytest.mark.parametrize("gate", [torch.tanh, torch.sigmoid, lambda x: x, lambda x: x.clamp(max=1), F.hardsigmoid])
def test_without_a_rectifier_there_is_nothing_to_guide(gate: Gate, images: Tensor) -> None:
    with pytest.raises(ExplanationError, match=r"no rectifier.*would be the plain gradient; use method saliency"):
        explain(Gated(gate), images, 0, method="guided")


def test_an_unknown_rule_is_refused(images: Tensor) -> None:
    with pytest.raises(UsageError, match="rule came as 'all'; expected exact"):
        explain(Gated(F.relu), images, 0, method="guided", rule="all")


def test_mobilenets_are_not_given_the_plain_gradient_for_a_guided_one() -> None:
    torch.manual_seed(0)
    images = torch.randn(1, 3, 64, 64)
    relu6 = zoo.create("mobilenet_v2", num_classes=4, image_size=64)
    plain, guided = (explain(relu6, images, 1, method=method).maps for method in ("saliency", "guided"))
    assert np.abs(plain - guided).max() > 0.1 * plain.max()
    smooth = zoo.create("mobilenet_v3_small", num_classes=4, image_size=64)
    with pytest.raises(ExplanationError, match="Hardswish"):
        explain(smooth, images, 1, method="guided_grad_cam")
    assert explain(smooth, images, 1, method="guided", rule="gate").maps.any()


def assigned(x: Tensor) -> Tensor:
    x = x * 1
    x[x < 0] = 0
    return x


class TheirReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient * (ctx.saved_tensors[0] > 0)


def in_place_on_a_view(x: Tensor) -> Tensor:
    return F.relu(x.permute(0, 2, 3, 1), inplace=True).permute(0, 3, 1, 2)


def masked_vectors(x: Tensor) -> Tensor:
    vectors = x.flatten(1)
    return (vectors * (vectors > 0).float()).view_as(x)


def slopes_of_another(x: Tensor) -> Tensor:
    slopes = torch.ones_like(x)
    slopes[x < 0] = 0.1
    return x * slopes


def slopes_of_a_list(x: Tensor) -> Tensor:
    slopes = [torch.ones_like(x)]
    torch._foreach_mul_(slopes, [(x > 0).float()])
    return x * slopes[0]


HIDDEN: dict[str, tuple[Gate, str]] = {
    "in place on a view": (in_place_on_a_view, "an operation in place on a view"),
    "a function of their own": (TheirReLU.apply, "the function TheirReLU"),
    "maximum": (lambda x: torch.maximum(x, torch.zeros(())), "torch.maximum"),
    "where": (lambda x: torch.where(x > 0, x, 0.0), "torch.where"),
    "abs": (lambda x: (x + x.abs()) / 2, "abs"),
    "clamp at a tensor": (lambda x: x.clamp(min=torch.zeros(())), "a clamp at a tensor"),
    "swish by hand": (lambda x: x * torch.sigmoid(x), "a number and a function of itself"),
    "hardswish by hand": (lambda x: x * F.relu6(x + 3) / 6, "a number and a function of itself"),
    "GELU by hand": (lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)), "a number and a function of itself"),
    "tanh GELU by hand": (
        lambda x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.044715 * x**3))),
        "a number and a function of itself",
    ),
    "tanhshrink": (F.tanhshrink, "a number and a function of itself"),
    "mask": (lambda x: x * (x > 0), "a product with a mask"),
    "mask of numbers": (lambda x: x * (x > 0).float(), "a product with a mask"),
    "mask in place": (lambda x: (x * 1).mul_(x > 0), "a product with a mask"),
    "mask of vectors": (masked_vectors, "a product with a mask"),
    "mask of NumPy": (
        lambda x: x * torch.from_numpy((x.detach().numpy() > 0).astype(np.float32)),
        "a product with a mask",
    ),
    "mask of a list": (lambda x: x * torch.tensor((x > 0).float().tolist()), "a product with a mask"),
    "slopes written in place": (slopes_of_another, "a product with a mask"),
    "slopes written by foreach": (slopes_of_a_list, "a product with a mask"),
    "two slopes": (lambda x: x * torch.where(x > 0, 1.0, 0.1), "a product with a mask"),
    "division": (lambda x: x / ((x < 0) * 9.0 + 1), "a product with a mask"),
    "addcmul": (lambda x: torch.addcmul(torch.zeros(()), x, (x > 0).float()), "a product with a mask"),
    "assignment": (assigned, "an assignment where a mask is true"),
    "masked_scatter": (lambda x: x.masked_scatter(x < 0, torch.zeros_like(x)), "masked_scatter"),
    "clamp from above": (lambda x: -((-x).clamp(max=0)), "a clamp from above at zero"),
    "GLU": (lambda x: F.glu(torch.cat([x, x], 1), 1), "GLU"),
    "logaddexp": (lambda x: torch.logaddexp(x, torch.zeros(())), "logaddexp"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_may_hide_a_gate_is_refused_beside_gates_too(name: str, images: Tensor) -> None:
    gate, said = HIDDEN[name]
    for model in (Gated(gate), Gated(lambda x: gate(F.relu(x - 1)))):
        with pytest.raises(ExplanationError, match=f"cannot tell whether {said} is a gate"):
            explain(model, images, 0, method="guided")


@pytest.mark.parametrize("scale", [(1, 3, 1, 1), (3, 1, 1), (1,)])
def test_a_scale_of_channels_is_no_mask(scale: tuple[int, ...], images: Tensor) -> None:
    deviations = torch.full(scale, 0.25)
    deviations.view(-1)[0] = 0.5
    network = Gated(lambda x: F.relu(x / deviations * deviations))
    assert explain(network, images, 0, method="guided").maps.any()


FACTORS: dict[str, Tensor] = {
    "deviations of 1": torch.ones(1, 3, 1, 1),
    "weights of columns": torch.tensor([[1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 1.0]]),
    "ones": torch.ones(1, 3, 5, 7),
    "a window": (torch.arange(35).view(1, 1, 5, 7) % 2 + 1) / 2,
    "true or false": torch.arange(35).view(1, 1, 5, 7) % 2 > 0,
}


class Scaled(Gated):
    """By a buffer, a parameter, a tensor of the forward pass and one that only the function holds."""

    def __init__(self, factor: Tensor, where: str) -> None:
        super().__init__(F.relu)
        self.where, held = where, factor.clone()
        if where == "buffer":
            self.register_buffer("factor", factor.clone())
        elif where == "parameter":
            self.factor = nn.Parameter(factor.clone(), requires_grad=factor.is_floating_point())
        elif where == "forward":
            self.make = lambda x: torch.tensor(factor.tolist()).to(x) * x.new_ones(())
        else:
            self.make = lambda x: held

    def forward(self, images: Tensor) -> Tensor:
        factor = self.make(images) if self.where in ("forward", "function") else self.factor
        return super().forward(images * factor)


@pytest.mark.parametrize("where", ["buffer", "parameter", "forward", "function"])
@pytest.mark.parametrize("name", FACTORS)
def test_what_hangs_on_no_picture_is_no_mask(name: str, where: str, images: Tensor) -> None:
    factor = FACTORS[name]
    guided = explain(Scaled(factor, where), images, 0, method="guided").attributions
    upstream = Scaled(factor, where).weight.detach().clamp(min=0)
    np.testing.assert_array_equal(guided, (upstream * (images * factor > 0) * factor).numpy())


def test_a_gate_of_squeeze_and_excite_is_no_gate_of_this_kind() -> None:
    torch.manual_seed(0)
    network = zoo.create("se_resnet50", num_classes=3, image_size=64)
    assert explain(network, torch.randn(1, 3, 64, 64), 1, method="guided").maps.any()


@pytest.mark.parametrize("method", ["guided", "deconv", "guided_grad_cam"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_wherever_it_is(method: str, images: Tensor) -> None:
    inside = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    model = nn.Sequential(torch.jit.script(inside), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    model(images)
    layer = {"layer": "1"} if method == "guided_grad_cam" else {}
    with pytest.raises(ExplanationError, match="inside TorchScript"):
        explain(model, images, method=method, **layer)


def test_a_number_kept_from_growing_or_from_zero_is_no_gate(images: Tensor) -> None:
    for ending in (lambda x: x.clamp(max=50), lambda x: x.clamp(min=1e-9)):
        model, plain = Gated(lambda x, ending=ending: ending(F.relu(x) + 1)), Gated(lambda x: F.relu(x) + 1)
        ours, theirs = (explain(each, images, method="guided").maps for each in (model, plain))
        assert np.array_equal(ours, theirs)


def test_a_full_backward_hook_hides_no_gate(images: Tensor) -> None:
    plain, hooked = Gated(nn.ReLU()), Gated(nn.ReLU())
    seen = []
    hooked.gate.register_full_backward_hook(lambda *gradients: seen.append(gradients))
    maps = [explain(model, images, 0, method="guided").attributions for model in (plain, hooked)]
    np.testing.assert_array_equal(*maps)
    assert seen


@pytest.mark.parametrize(
    "padding",
    [
        nn.Conv2d(3, 4, (3, 5), padding=(1, 2), padding_mode="circular"),
        nn.Sequential(nn.CircularPad2d((2, 0, 1, 3)), nn.Conv2d(3, 4, 3)),
    ],
    ids=["convolution", "layer"],
)
def test_circular_padding_hides_no_gate(padding: nn.Module, images: Tensor) -> None:
    network = nn.Sequential(padding, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)).eval()
    found = explain(network, images, 1, method="guided").attributions
    x = images.clone().requires_grad_()
    maps = network[0](x)
    (upstream,) = torch.autograd.grad(network[2:](F.relu(kept := maps.detach().requires_grad_()))[:, 1].sum(), kept)
    (expected,) = torch.autograd.grad(maps, x, upstream * (upstream > 0))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-7)
    deconv = explain(network, images, 1, method="deconv").attributions
    assert not np.array_equal(deconv, found)


def test_circular_padding_that_cuts_is_not_taken_for_another(images: Tensor) -> None:
    network = nn.Sequential(nn.CircularPad2d((-1, 2, 1, 1)), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)).eval()
    network(images)
    with pytest.raises(ExplanationError, match="cannot tell whether an operation in place on a view is a gate"):
        explain(network, images, 1, method="guided")


def test_a_mask_that_the_network_holds_is_none_after_a_number_was_taken_out_too(images: Tensor) -> None:
    class Windowed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(images.shape[1], 3, 3)
            self.register_buffer("kept", torch.tensor([1.0, 0.0, 1.0])[None, :, None, None])

        def forward(self, pictures: Tensor) -> Tensor:
            maps = self.convolution(pictures)
            if maps.max() > 1e9:
                maps = maps / 2
            return (maps * self.kept).relu().mean((2, 3))

    assert explain(Windowed(), images, 0, method="guided").maps.any()
