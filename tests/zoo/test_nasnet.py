"""NASNet-A mobile against figures 2 and 4 of its paper in torch.nn.functional; no peer library has it."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

import convlens.zoo as zoo
from convlens.zoo.nasnet import ReductionCell

State = dict[str, torch.Tensor]


def part(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def norm(x: torch.Tensor, state: State, name: str) -> torch.Tensor:
    mean, variance, weight, bias = (state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
    shape = (1, -1, 1, 1)
    scale = weight / (variance + 1e-3).sqrt()
    return x * scale.view(shape) + (bias - mean * scale).view(shape)


def padded(x: torch.Tensor, kernel: int, stride: int, value: float = 0.0) -> torch.Tensor:
    """TensorFlow's rule: the total that ceil(H / stride) windows need, the smaller half first."""
    pads: list[int] = []
    for side in (x.shape[3], x.shape[2]):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads, value=value)


def average(x: torch.Tensor, stride: int) -> torch.Tensor:
    """Of the pixels inside the picture at stride 1; at stride 2 zeros around it count."""
    sums = functional.avg_pool2d(padded(x, 3, stride), 3, stride)
    inside = functional.avg_pool2d(padded(torch.ones_like(x), 3, stride), 3, stride)
    return sums / inside if stride == 1 else sums


def separable(x: torch.Tensor, state: State, stride: int = 1) -> torch.Tensor:
    convolutions = [name for name, value in state.items() if value.dim() == 4]
    norms = [name.removesuffix(".running_mean") for name in state if name.endswith("running_mean")]
    for depthwise, pointwise, last, step in zip(convolutions[::2], convolutions[1::2], norms, (stride, 1), strict=True):
        weight = state[depthwise]
        x = functional.conv2d(padded(x.relu(), weight.shape[-1], step), weight, stride=step, groups=x.shape[1])
        x = norm(functional.conv2d(x, state[pointwise]), state, last)
    return x


def pointwise(x: torch.Tensor, state: State, name: str) -> torch.Tensor:
    return norm(functional.conv2d(x.relu(), state[f"{name}.conv.weight"]), state, f"{name}.norm")


def halved(x: torch.Tensor, state: State, name: str) -> torch.Tensor:
    x = functional.pad(x.relu(), (0, 1, 0, 1))
    parts = [
        functional.conv2d(x[:, :, :-1:2, :-1:2], state[f"{name}.even.weight"]),
        functional.conv2d(x[:, :, 1::2, 1::2], state[f"{name}.odd.weight"]),
    ]
    return norm(torch.cat(parts, 1), state, f"{name}.norm")


def fitted(h0: torch.Tensor, h1: torch.Tensor, state: State) -> tuple[torch.Tensor, torch.Tensor]:
    if "fit_previous.conv.weight" in state:
        h0 = pointwise(h0, state, "fit_previous")
    elif "fit_previous.norm.weight" in state:
        h0 = halved(h0, state, "fit_previous")
    return h0, pointwise(h1, state, "fit_current")


def normal(h0: torch.Tensor, h1: torch.Tensor, state: State) -> torch.Tensor:
    h0, h1 = fitted(h0, h1, state)
    current5, previous3, second5, second3, current3 = (
        part(state, f"{name}.") for name in ("current5", "previous3", "second5", "second3", "current3")
    )
    sums = [
        separable(h1, current5) + separable(h0, previous3),
        separable(h0, second5) + separable(h0, second3),
        average(h1, 1) + h0,
        2 * average(h0, 1),
        separable(h1, current3) + h1,
    ]
    return torch.cat([h0, *sums], 1)


def reduction(h0: torch.Tensor, h1: torch.Tensor, state: State) -> torch.Tensor:
    h0, h1 = fitted(h0, h1, state)
    current5, previous7, second7, previous5, first3 = (
        part(state, f"{name}.") for name in ("current5", "previous7", "second7", "previous5", "first3")
    )
    largest = functional.max_pool2d(padded(h1, 3, 2, float("-inf")), 3, 2)
    first = separable(h1, current5, 2) + separable(h0, previous7, 2)
    second = largest + separable(h0, second7, 2)
    third = average(h1, 2) + separable(h0, previous5, 2)
    return torch.cat([second, third, average(first, 1) + second, separable(first, first3) + largest], 1)


def mobile(images: torch.Tensor, state: State) -> torch.Tensor:
    """Two reductions, then 4 normal cells, thrice, with a reduction between; each cell reads the two before it."""
    h1 = norm(functional.conv2d(images, state["stem.conv.weight"], stride=2), state, "stem.norm")
    h0 = h1
    kinds = [reduction] * 2 + [normal] * 4 + [reduction] + [normal] * 4 + [reduction] + [normal] * 4
    for number, cell in enumerate(kinds, start=1):
        h0, h1 = h1, cell(h0, h1, part(state, f"stages.{number}."))
    features = h1.relu().mean((2, 3))
    return functional.linear(features, state["head.linear.weight"], state["head.linear.bias"])


def test_the_mobile_network_gives_the_logits_of_its_figures() -> None:
    torch.manual_seed(0)
    network = zoo.create("nasnet_mobile", num_classes=7, image_size=(224, 225)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.1)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
            torch.nn.init.normal_(module.bias, std=0.1)
    images = torch.randn(2, 3, 224, 225)  # sides of both parities on the way
    with torch.no_grad():
        got, expected = network(images), mobile(images, network.state_dict())
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


@pytest.mark.parametrize(("name", "place"), [("nasnet_mobile", 1), ("nasnet_large", 0)])
def test_beside_a_reduction_the_next_cell_reads_the_output_before_it_or_the_one_before_that(
    name: str, place: int
) -> None:
    with torch.device("meta"):
        stages = zoo.create(name).stages
        assert isinstance(stages, torch.nn.Sequential)
        between = [cell for cell in stages if isinstance(cell, ReductionCell)][2:]
        assert len(between) == 2
        for cell in between:
            channels = cell.fit_previous.get_submodule("conv").in_channels
            maps = (torch.empty(2, channels, 8, 8), torch.empty(2, channels, 8, 8))
            assert cell(maps)[0] is maps[place]
