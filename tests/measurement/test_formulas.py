"""Formulas as a teacher writes them: letters and numbers that multiply to what is counted."""

from __future__ import annotations

import re
from math import prod

import pytest
import torch
from torch import Tensor, nn

import convlens.zoo as zoo
from convlens.measurement import measure_network
from convlens.measurement.formulas import Factor, Formula, legend, number, product, sides, total


def only_layer(model, shape):
    (layer,) = measure_network(model, shape).layers
    return layer


# fmt: off
CASES = {
    "conv":              (nn.Conv2d(3, 8, 3, padding=1),           (1, 3, 16, 16), "K·K·M·N·D·D",     "3·3·3·8·16·16"),
    "a batch of 2":      (nn.Conv2d(3, 8, 3, padding=1),           (2, 3, 16, 16), "B·K·K·M·N·D·D",   "2·3·3·3·8·16·16"),  # noqa: E501
    "oblong":            (nn.Conv2d(3, 8, (1, 7), padding=(0, 3)), (1, 3, 9, 16),  "Kh·Kw·M·N·Dh·Dw", "1·7·3·8·9·16"),
    "depthwise":         (nn.Conv2d(8, 8, 3, 1, 1, groups=8),      (1, 8, 16, 16), "K·K·M·D·D",       "3·3·8·16·16"),
    "depthwise, twice":  (nn.Conv2d(8, 16, 3, 1, 1, groups=8),     (1, 8, 16, 16), "K·K·N·D·D",       "3·3·16·16·16"),
    "grouped":           (nn.Conv2d(8, 4, 3, 1, 1, groups=2),      (1, 8, 16, 16), "K·K·(M/G)·N·D·D", "3·3·4·4·16·16"),
    "transposed":        (nn.ConvTranspose2d(8, 4, 4, 2, 1),       (1, 8, 8, 8),   "K·K·M·N·d·d",     "4·4·8·4·8·8"),
    "upwards, grouped":  (nn.ConvTranspose2d(8, 4, 4, groups=2),   (1, 8, 8, 8),   "K·K·M·(N/G)·d·d", "4·4·8·2·8·8"),
    "conv 1-D":          (nn.Conv1d(4, 6, 5, padding=2),           (1, 4, 20),     "K·M·N·D",         "5·4·6·20"),
    "conv 3-D":          (nn.Conv3d(2, 4, 3, padding=1),           (1, 2, 8, 8, 8), "K·K·K·M·N·D·D·D", "3·3·3·2·4·8·8·8"),  # noqa: E501
    "linear":            (nn.Linear(16, 8),                        (1, 16),        "M·N",             "16·8"),
    "linear, 10 rows":   (nn.Linear(16, 8),                        (1, 10, 16),    "L·M·N",           "10·16·8"),
    "pooling":           (nn.MaxPool2d(2),                         (1, 3, 8, 8),   "0",               "0"),
}
# fmt: on


@pytest.mark.parametrize("name", CASES)
def test_the_formula_of_a_layer_is_the_teachers(name):
    model, shape, letters, numbers = CASES[name]
    layer = only_layer(model, shape)
    assert (layer.macs_formula, layer.macs_numbers) == (letters, numbers)
    assert value_of(numbers) == layer.macs


def value_of(numbers: str) -> int:
    return sum(prod(int(factor) for factor in term.split("·")) for term in numbers.split(" + "))


def test_flops_are_written_out_too():
    assert only_layer(nn.Conv2d(3, 8, 3), (1, 3, 8, 8)).flops_formula == "2·K·K·M·N·D·D + N·D·D"
    assert only_layer(nn.Conv2d(3, 8, 3, bias=False), (1, 3, 8, 8)).flops_formula == "2·K·K·M·N·D·D"
    assert only_layer(nn.BatchNorm2d(3), (1, 3, 8, 8)).flops_formula == "2·N·D·D"
    assert only_layer(nn.ReLU(), (1, 3, 8, 8)).flops_formula == "N·D·D"
    assert only_layer(nn.AvgPool2d(2), (1, 3, 8, 8)).flops_formula == "K·K·N·D·D"
    assert only_layer(nn.AdaptiveAvgPool2d(1), (1, 3, 8, 8)).flops_formula == "N·d·d"
    assert only_layer(nn.Softmax(1), (1, 3)).flops_formula == "5·N"
    assert only_layer(nn.Flatten(), (1, 3, 8, 8)).flops_formula == "0"


def test_a_layer_called_twice_is_twice_its_formula():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.conv(x))

    layer = only_layer(Twice(), (1, 3, 16, 16))
    assert (layer.macs_formula, layer.macs_numbers) == ("2·K·K·M·N·D·D", "2·3·3·3·3·16·16")


@pytest.mark.parametrize("name", ["lenet5", "googlenet", "mobilenet_v3_small", "shufflenet_v2_x1_0", "lstm_rows"])
def test_every_formula_of_a_network_multiplies_to_its_count(name):
    known = zoo.entry(name)
    network = zoo.create(name, num_classes=known.num_classes, in_channels=known.in_channels)
    height, width = network.architecture.image_size
    measured = measure_network(network, (1, known.in_channels, height, width))
    assert measured.macs == sum(value_of(layer.macs_numbers) for layer in measured.layers)
    letters = set(
        re.findall(r"[A-Z]|d", "".join(layer.macs_formula + layer.flops_formula for layer in measured.layers))
    )
    assert letters <= set(measured.symbols)


@torch.library.custom_op("convlens_test::riddle", mutates_args=())
def riddle(x: Tensor) -> Tensor:
    return x.cumsum(-1)


def test_what_is_unknown_has_no_formula():
    class Riddle(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return riddle(x)

    layer = only_layer(nn.Sequential(Riddle()), (1, 3, 8))
    assert (layer.macs, layer.macs_formula, layer.macs_numbers, layer.flops_formula) == (None, None, None, None)


def test_formulas_add_and_say_what_their_letters_mean():
    one, two = product(number(2), sides("K", (3, 3))), product(Factor("M", 5))
    assert (str(total([one, two, one])), total([one, two, one]).value) == ("2·2·K·K + M", 41)
    assert str(Formula()) == Formula().numbers == "0"
    assert list(legend([one, two])) == ["K", "M"]
    assert list(legend([product(sides("K", (1, 7)))])) == ["K", "h", "w"]


def separable(channels: int, out: int, kernel: int, side: int, between: nn.Module) -> nn.Sequential:
    depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
    return nn.Sequential(depthwise, between, nn.Conv2d(channels, out, 1))


def test_a_depthwise_separable_convolution_is_set_beside_the_one_it_stands_for():
    between = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU6())
    (pair,) = measure_network(separable(8, 16, 3, 10, between), (1, 8, 10, 10)).separable
    assert (pair.depthwise, pair.pointwise, pair.kernel) == ("0", "2", (3, 3))
    assert pair.macs == 9 * 8 * 100 + 8 * 16 * 100
    assert (
        pair.standard_macs == 9 * 8 * 16 * 100 == measure_network(nn.Conv2d(8, 16, 3, padding=1), (1, 8, 10, 10)).macs
    )
    assert pair.share == pytest.approx(1 / 16 + 1 / 9)


def test_several_kernels_a_channel_stand_for_the_same_convolution():
    twice = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1, groups=8), nn.ReLU(), nn.Conv2d(16, 32, 1))
    (pair,) = measure_network(twice, (1, 8, 10, 10)).separable
    assert (pair.multiplier, pair.channels) == (2, (8, 16, 32))
    assert pair.macs == 9 * 16 * 100 + 16 * 32 * 100
    assert pair.standard_macs == measure_network(nn.Conv2d(8, 32, 3, padding=1), (1, 8, 10, 10)).macs
    assert pair.share == pytest.approx(2 / 32 + 2 / 9)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, "4·"), (nn.GRU, "3·"), (nn.RNN, "")])
def test_a_recurrent_layer_is_its_gates_at_every_step(kind, gates):
    (layer,) = (layer for layer in measure_network(kind(16, 8), (5, 3, 16)).layers if layer.macs)
    assert layer.macs == 5 * 3 * int(gates[:-1] or 1) * 8 * (16 + 8)
    assert set(layer.macs_formula.split(" + ")) == {f"5·B·{gates}H·I", f"5·B·{gates}H·H"}
    assert set(layer.macs_numbers.split(" + ")) == {f"5·3·{gates}8·16", f"5·3·{gates}8·8"}


class TwoWays(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = (nn.Conv2d(8, 8, 3, padding=1, groups=8) for _ in range(2))
        self.point = nn.Conv2d(8, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.point(self.one(x) + self.two(x))


def test_what_only_looks_separable_is_not():
    assert measure_network(TwoWays(), (1, 8, 10, 10)).separable == ()
    pooled = separable(8, 16, 3, 10, nn.MaxPool2d(2))
    assert measure_network(pooled, (1, 8, 10, 10)).separable == ()
    assert measure_network(separable(8, 16, 1, 10, nn.ReLU()), (1, 8, 10, 10)).separable == ()
    assert measure_network(nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 4, 1)), (1, 8, 10, 10)).separable == ()


def test_mobilenet_v1_is_13_pairs():
    pairs = measure_network(zoo.create("mobilenet_v1"), (1, 3, 224, 224)).separable
    assert len(pairs) == 13
    assert all(pair.share == pytest.approx(1 / pair.channels_out + 1 / 9) for pair in pairs)
    gated = measure_network(zoo.create("mobilenet_v3_small"), (1, 3, 224, 224)).separable
    assert len(gated) == 11  # through squeeze and excite
