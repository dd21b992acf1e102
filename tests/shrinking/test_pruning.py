"""What goes is what matters least, as much as was asked, and the rest still runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

import convlens.zoo as zoo
from convlens.engines import Model, folded
from convlens.errors import NetworkError, UsageError
from convlens.exporting import onnx_bytes
from convlens.graph import ChannelPlan, apply_channel_plan
from convlens.graph.cutting import sound_coupling
from convlens.shrinking import importance_of, prune

SHAPE = (2, 3, 32, 32)


def network_of(name: str = "resnet20") -> nn.Module:
    torch.manual_seed(0)
    return zoo.create(name, num_classes=10, image_size=32).eval()


def test_the_network_itself_is_left_alone_and_the_plan_makes_the_same_small_one() -> None:
    network = network_of()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    result = prune(network, SHAPE, 0.5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    again = apply_channel_plan(network, ChannelPlan.from_dict(result.plan.to_dict()))
    images = torch.randn(SHAPE)
    assert torch.equal(again(images), result.network(images))
    assert result.after.parameters < 0.27 * result.before.parameters
    assert result.after.macs < 0.27 * result.before.macs


@pytest.mark.parametrize("spread", ["uniform", "global"])
def test_what_is_left_are_the_filters_of_the_largest_weights(spread: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.Flatten(), nn.Linear(3600, 2))
    with torch.no_grad():
        network.get_parameter("0.weight")[[1, 3, 4, 6]] *= 100
    small = prune(network, SHAPE, 0.5, spread=spread).network
    kept = small.get_parameter("0.weight")
    assert torch.equal(kept[-4:], network.get_parameter("0.weight")[[1, 3, 4, 6]])


def test_scales_of_batch_norm_decide_where_they_are_asked() -> None:
    network = network_of()
    coupling = sound_coupling(network, SHAPE)
    inner = network.get_submodule("stages.0.0.residual")
    norms = [module for module in inner.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        norms[0].weight[:8] = 0.01
    scores = importance_of(network, coupling, "scales")
    name = next(name for name, module in network.named_modules() if module is norms[0])
    units = coupling.units[f"{name}.weight", 0]
    assert scores[units[:8]].max() < 0.1 < 1 < scores[units[8:]].min()


@pytest.mark.parametrize("name", ["resnet20", pytest.param("mobilenet_v2", marks=pytest.mark.slow)])
def test_a_share_of_the_macs_is_met_closely(name: str) -> None:
    result = prune(network_of(name), SHAPE, 0.4, target="macs", spread="global")
    left = result.after.macs / result.before.macs
    assert 0.5 < left <= 0.6


@pytest.mark.parametrize("name", ["lenet5", "resnet20"])
def test_a_layer_of_one_channel_is_cut_as_any_other(name: str) -> None:
    made = prune(zoo.create(name, num_classes=10, image_size=32), SHAPE, 0.999)
    assert made.after.parameters < 0.002 * made.before.parameters
    assert made.network(torch.randn(SHAPE)).shape == (2, 10)


class Squeezed(nn.Module):
    """Drops every dimension of one, so that it needs two channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(torch.squeeze(self.conv(images).mean((2, 3), keepdim=True)))


def test_where_one_channel_does_not_run_as_before_two_are_kept() -> None:
    assert prune(Squeezed(), SHAPE, 0.9).network.conv.out_channels == 2


@pytest.mark.parametrize("options", [{"amount": 0.001}, {"amount": 0.5, "least": 1000}], ids=["share", "floor"])
def test_a_share_that_rounds_to_no_channel_removes_none(options: dict[str, float]) -> None:
    network = zoo.create("lenet5", num_classes=10, image_size=32)
    made = prune(network, SHAPE, **options)
    assert not made.plan.kept
    assert made.after == made.before


def test_scales_are_not_asked_of_a_network_without_batch_norms() -> None:
    with pytest.raises(UsageError, match=r"^LeNet5 has no batch norm whose scales .*'weights'$"):
        prune(zoo.create("lenet5", num_classes=10, image_size=32), SHAPE, importance="scales")


def test_a_floor_and_multiples_of_eight_hold_in_every_layer() -> None:
    small = prune(network_of("mobilenet_v3_small"), SHAPE, 0.45, multiple=8, least=8).network
    widths = [module.out_channels for module in small.modules() if isinstance(module, nn.Conv2d)]
    assert all(width % 8 == 0 for width in widths)
    assert min(widths) == 8


@pytest.mark.parametrize("name", ["shufflenet_v1", "shufflenet_v2_x0_5"])
def test_a_floor_holds_in_layers_that_are_taken_apart_in_order(name: str) -> None:
    small = prune(network_of(name), SHAPE, 0.9, least=6).network
    widths = [module.out_channels for module in small.modules() if isinstance(module, nn.Conv2d)]
    assert min(widths) == 6


def test_a_pruned_network_learns() -> None:
    small = prune(network_of("shufflenet_v2_x0_5"), SHAPE, 0.5).network.train()
    small(torch.randn(SHAPE)).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in small.parameters())


def test_a_network_without_channels_to_remove_and_wrong_values_are_told_in_one_line() -> None:
    with pytest.raises(NetworkError, match="has no channels that can be removed"):
        prune(zoo.create("perceptron", num_classes=10, in_channels=1, image_size=28), (1, 1, 28, 28))
    compared = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.Flatten(), nn.Linear(8 * 900, 5))
    with pytest.raises(NetworkError, match=r"\(native_group_norm: it goes over channels\); nothing was changed"):
        prune(compared, SHAPE)
    for wrong in ({"amount": 1.0}, {"spread": "even"}, {"target": "bytes"}, {"importance": "size"}, {"least": 0}):
        with pytest.raises(UsageError):
            prune(network_of(), SHAPE, **wrong)


class Doubled(nn.Module):
    """Half of its channels, by their number, are twice as large."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 16, 3), nn.Linear(16, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.conv(images)
        maps[:, :8] = maps[:, :8] * 2
        return self.head(maps.mean((2, 3)))


@pytest.mark.parametrize("target", ["channels", "macs"])
def test_a_network_that_would_stay_whole_is_refused_and_the_operation_named(target: str) -> None:
    with pytest.raises(
        NetworkError, match=r"^Doubled has no channels that can be removed \(slice: .*nothing was changed$"
    ):
        prune(Doubled(), SHAPE, 0.5, target=target)


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_the_older_weight_norm_is_refused_by_name() -> None:
    network = nn.Sequential(nn.utils.weight_norm(nn.Conv2d(3, 8, 3)), nn.Flatten(), nn.Linear(7200, 5))
    with pytest.raises(NetworkError, match=r"^'0' of Sequential has torch.nn.utils.weight_norm, .*parametrizations"):
        prune(network, SHAPE)


@pytest.mark.filterwarnings("ignore:.*spectral_norm:FutureWarning")
@pytest.mark.parametrize("verb", [prune, folded, Model, onnx_bytes])
def test_a_layer_that_keeps_what_it_computed_is_refused_by_name(verb: Callable[..., object]) -> None:
    masked = nn.Sequential(torch_prune.l1_unstructured(nn.Conv2d(3, 8, 3), "weight", 0.5), nn.Flatten())
    normed = nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(3, 8, 3)), nn.Flatten())
    normed(torch.zeros(SHAPE))
    for network in (masked, normed):
        with pytest.raises(NetworkError, match=r"^'0' of Sequential holds 'weight', computed .*prune\.remove"):
            verb(network, SHAPE[1:])


def test_only_the_layers_that_were_named_lose_channels() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2304, 4)
    )
    for spread in ("uniform", "global"):
        small = prune(network, (1, 3, 16, 16), 0.5, spread=spread, only="2.*").network
        assert [tuple(small[place].weight.shape[:2]) for place in (0, 2)] == [(8, 3), (8, 8)]
    with pytest.raises(UsageError, match=r"--only came as 'head\*', .*there are 0.weight"):
        prune(network, (1, 3, 16, 16), 0.5, only="head*")


@pytest.mark.parametrize("norm", [nn.GroupNorm(4, 16), nn.GroupNorm(1, 16)], ids=["groups", "layer"])
def test_why_channels_that_a_norm_compares_stay_is_said(norm: nn.Module) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3), norm, nn.ReLU(), nn.Conv2d(16, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 4)
    )
    made = prune(network, (1, 3, 6, 6), 0.5)
    assert [(one.module, one.reason) for one in made.kept if one.op == "native_group_norm"] == [
        ("1", "it goes over channels")
    ]
    assert (made.network[0].out_channels, made.network[3].out_channels) == (16, 4)
