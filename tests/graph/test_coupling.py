"""Channels are coupled right when removing dead ones changes no answer: every family, and a user's own network."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import convlens.zoo as zoo
from convlens.errors import NetworkError
from convlens.graph.channel_plan import ChannelPlan, apply_channel_plan, as_text, from_text
from convlens.graph.coupling import couple
from convlens.zoo.registry import entry
from tests.graph.pruned import difference, plan_of

QUICK = (
    "mlp",
    "lenet5",
    "lenet5_1998",
    "alexnet_paper",
    "resnet20",
    "wide_resnet16_8",
    "squeezenet1_1",
    "shufflenet_v1",
    "shufflenet_v2_x0_5",
    "mobilenet_v3_small",
    "sprint_cifar_deep",
)
NOTHING = ("perceptron", "rnn_rows", "lstm_rows", "gru_rows", "peephole_lstm_rows")
WHOLE = {*NOTHING, "bilstm_rows", "stacked_lstm_rows", "cifg_rows", "resnet1202"}


def network_of(name: str, side: int = 32) -> tuple[nn.Module, Tensor]:
    known = entry(name)
    side = min(side, known.resolution)
    torch.manual_seed(0)
    network = zoo.create(name, num_classes=10, in_channels=known.in_channels, image_size=side)
    return network, torch.randn(2, known.in_channels, side, side)


def check_exact(name: str, share: float) -> None:
    far, left = difference(*network_of(name), share)
    assert far < 1e-10
    assert left < share + 0.05


@pytest.mark.parametrize("name", QUICK)
def test_removing_half_of_the_channels_changes_no_answer_where_they_were_dead(name: str) -> None:
    check_exact(name, 0.5)


@pytest.mark.parametrize("name", ["lenet5_1998", "resnet20", "mobilenet_v3_small"])
def test_removing_all_channels_but_one_changes_no_answer_where_they_were_dead(name: str) -> None:
    check_exact(name, 0.001)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in zoo.names() if name not in WHOLE])
def test_removing_dead_channels_changes_no_answer_in_the_whole_zoo(name: str) -> None:
    far, left = difference(*network_of(name), 0.6)
    assert far < 1e-10
    assert left < 0.75


@pytest.mark.parametrize("name", NOTHING)
def test_recurrent_cells_and_single_layers_keep_all_that_they_have(name: str) -> None:
    network, images = network_of(name)
    assert not couple(network, tuple(images.shape)).layers


class Own(nn.Module):
    """Functions of torch on parameters of its own: groups, a depthwise filter, chunk, shuffle, gate, shared weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(16, 3, 3, 3))
        self.grouped = nn.Parameter(torch.randn(16, 4, 1, 1))
        self.depthwise = nn.Parameter(torch.randn(8, 1, 3, 3))
        self.mixed = nn.Conv2d(8, 8, 1)
        self.scale = nn.Parameter(torch.rand(8, 1, 1) + 0.5)
        self.squeeze = nn.Linear(16, 6)
        self.excite = nn.Linear(6, 16)
        self.head = nn.Linear(24 * 16, 5, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.first, padding=1).relu_()
        x = F.conv2d(x, self.grouped, groups=4)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        gate = self.excite(F.relu(self.squeeze(x.mean((2, 3))))).sigmoid()
        x = x * gate[:, :, None, None]
        left, right = x.chunk(2, dim=1)
        right = F.conv2d(right, self.depthwise, padding=1, groups=right.shape[1])
        right = right + self.mixed(self.mixed(F.gelu(right)) * self.scale)
        x = torch.cat([left, F.relu(right), right * 2], dim=1)
        return self.head(F.adaptive_avg_pool2d(x, 4).flatten(1)) if x.shape[2] != 4 else self.head(x.flatten(1))


def test_a_network_of_a_users_own_functions_is_cut_right() -> None:
    torch.manual_seed(0)
    far, left = difference(Own(), torch.randn(2, 3, 8, 8), 0.5)
    assert far < 1e-10
    assert left < 0.6


class ScaledByMean(nn.Module):
    """Its maps are scaled by a mean over the channels of a parameter, which hangs on all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm, self.two = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 12, 3)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.one(x)).relu() * self.norm.weight.abs().mean() / self.norm.bias.norm()
        return self.head(self.two(x).relu().mean((2, 3)))


def test_channels_of_a_parameter_that_is_reduced_stay() -> None:
    torch.manual_seed(0)
    network = ScaledByMean()
    assert {layer.names for layer in couple(network, (2, 3, 8, 8)).layers} == {("two.weight",)}
    assert difference(network, torch.randn(2, 3, 8, 8))[0] < 1e-10


class Mirrored(nn.Module):
    """A row of features, padded with its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dense, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 6), nn.Linear(9, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.pad(self.dense(self.conv(x).relu().mean((2, 3))), (2, 1), mode="reflect"))


def test_features_that_a_window_goes_over_stay() -> None:
    torch.manual_seed(0)
    assert {layer.names for layer in couple(Mirrored(), (2, 3, 8, 8)).layers} == {("conv.weight",)}
    assert difference(Mirrored(), torch.randn(2, 3, 8, 8))[0] < 1e-10


class Parts(nn.Module):
    """Halves that go different ways, a half that gates the other, parts of unequal size, a pixel shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.three, self.four = nn.Conv2d(16, 24, 1), nn.Conv2d(12, 32, 1, bias=False)
        self.five, self.head = nn.Conv2d(8, 10, 1), nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.one(x).chunk(2, dim=1)
        x = torch.cat([self.two(left).relu(), right.tanh()], dim=1)
        x = F.glu(self.three(x), dim=1)
        x = self.five(F.pixel_shuffle(self.four(x), 2))
        first, rest = x.split([3, 7], dim=1)
        return self.head(torch.cat([rest, first], dim=1).relu().amax((2, 3)))


def test_halves_gates_and_shuffled_pixels_are_cut_right_and_unequal_parts_stay() -> None:
    torch.manual_seed(0)
    network = Parts()
    coupling, plan = plan_of(network, (2, 3, 6, 6))
    widths = {name: len(plan.kept[f"{name}.weight"][0]) for name in ("one", "two", "three", "four")}
    assert widths == {"one": 8, "two": 4, "three": 12, "four": 16}
    assert "five.weight" not in plan.kept or 0 not in plan.kept["five.weight"]
    assert any(kept.op == "split_with_sizes" for kept in coupling.kept)
    far, left = difference(network, torch.randn(2, 3, 6, 6), 0.5)
    assert far < 1e-10
    assert left < 0.45


class Decoder(nn.Module):
    """Transposed filters, learnt slopes, one layer under two names, channels that are written in place."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.act = nn.Conv2d(3, 12, 3, stride=2), nn.PReLU(12)
        self.up, self.norm = nn.ConvTranspose2d(12, 10, 2, stride=2), nn.InstanceNorm2d(10)
        self.two = nn.Conv2d(10, 10, 3, padding=1)
        self.again = self.two
        self.three, self.head = nn.Conv2d(10, 8, 1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.one(x))
        x = self.again(F.relu(self.two(F.relu(self.up(x)))))
        x = self.three(F.interpolate(x, scale_factor=2))
        written = torch.zeros_like(x)
        written[:, :4] = x[:, 4:]
        return self.head((x + written).relu().mean((2, 3)))


def test_transposed_filters_and_a_layer_with_two_names_are_cut_right() -> None:
    torch.manual_seed(0)
    network = Decoder()
    far, left = difference(network, torch.randn(2, 3, 13, 13), 0.5)
    assert far < 1e-10
    assert left < 0.6
    _, plan = plan_of(network, (2, 3, 13, 13))
    small = apply_channel_plan(network, plan)
    assert small.again is small.two and small.two.weight.shape == (5, 5, 3, 3)
    assert small.up.weight.shape == (6, 5, 2, 2) and small.act.num_parameters == 6
    assert small.three.out_channels == 8  # memory that is written through a view is not followed


def test_the_layout_of_the_weights_in_memory_changes_no_plan() -> None:
    network, images = network_of("resnet20")
    _, plan = plan_of(network, tuple(images.shape))
    _, other = plan_of(network.to(memory_format=torch.channels_last), tuple(images.shape))  # type: ignore[call-overload]
    assert plan == other


class Numbers(nn.Module):
    """The second layer's size is a number in the forward."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3), nn.Conv2d(12, 6, 3)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.one(x).relu()).relu()
        x = self.three(x.view(x.shape[0], 12, x.shape[2], -1)).relu()
        return self.head(x.mean((2, 3)))


def test_a_layer_whose_size_is_a_number_in_the_forward_stays_and_the_others_go() -> None:
    network = Numbers()
    _, plan = plan_of(network, (2, 3, 12, 12))
    apply_channel_plan(network, plan)
    assert [network.one.out_channels, network.two.out_channels, network.three.out_channels] == [4, 12, 3]
    assert network(torch.zeros(2, 3, 12, 12)).shape == (2, 4)


class Means(nn.Module):
    """Layer norm, a mean over channels and an operation that nobody knows."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.one(x))
        x = self.two(x)
        x = x - x.mean(1, keepdim=True)
        return self.head(torch.fft.rfft(self.three(x), dim=1, n=14).abs())


def test_what_compares_channels_or_is_unknown_keeps_them_and_is_named() -> None:
    coupling = couple(Means(), (2, 6))
    assert not coupling.layers
    named = {kept.op for kept in coupling.kept}
    assert {"native_layer_norm", "mean", "_fft_r2c"} <= named


def test_a_plan_goes_through_json_and_two_plans_become_one() -> None:
    network, images = network_of("resnet20")
    _, first = plan_of(network, tuple(images.shape))
    small = apply_channel_plan(network, first)
    _, second = plan_of(small, tuple(images.shape), 0.6)
    twice = apply_channel_plan(small, second)
    at_once = apply_channel_plan(network_of("resnet20")[0], second.after(first))
    at_once.load_state_dict(twice.state_dict())
    assert torch.equal(at_once.eval()(images), twice.eval()(images))
    assert from_text(as_text((3, 4, 5, 0, -1, 9, -1))) == (3, 4, 5, 0, -1, 9, -1)


def test_a_plan_for_another_network_changes_nothing_and_says_so_in_one_line() -> None:
    network, images = network_of("resnet20")
    _, plan = plan_of(network, tuple(images.shape))
    other, _ = network_of("lenet5")
    with pytest.raises(NetworkError, match="which this network does not have"):
        apply_channel_plan(other, plan)
    narrow = nn.Module()
    narrow.stem = nn.Conv2d(3, 2, 3)
    with pytest.raises(NetworkError, match="it is for another network"):
        apply_channel_plan(narrow, ChannelPlan({"stem.weight": {0: (0, 5)}}))
    with pytest.raises(NetworkError, match="unequal numbers of channels"):
        apply_channel_plan(narrow, ChannelPlan({"stem.weight": {0: (0,), 1: (0, 3)}}, {"stem.weight": 2}))
    with pytest.raises(NetworkError, match="holds no such size"):
        apply_channel_plan(narrow, ChannelPlan(attributes={"stem": {"forward": 3}}))
    with pytest.raises(NetworkError, match="cannot be read"):
        ChannelPlan.from_dict({"kept": ["0-x"], "tensors": {}, "groups": {}, "attributes": {}})
    assert narrow.stem.weight.shape == (2, 3, 3, 3)
