"""MACs of the cases that known tools get wrong, by hand; totals; what is unknown is said."""

from __future__ import annotations

import json
import time

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convlens.errors import NetworkError, UsageError
from convlens.measurement import measure_network


class Functional(nn.Module):
    """F.conv2d with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Parameter(torch.zeros(8, 3, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(F.conv2d(x, self.filters, padding=1))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.conv(x))


class Einsum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5, 6, 7))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nab,bcd->nacd", x, self.weight)


class Products(nn.Module):
    def forward(self, x: Tensor) -> Tensor:  # (2, 3, 5)
        square = torch.bmm(x, x.transpose(1, 2))  # 2 · 3 · 5 · 3 = 90
        return torch.matmul(square, x)  # 2 · 3 · 3 · 5 = 90


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x)


class AttentionOnTheCpu(nn.Module):
    """A branch on a value keeps it from the meta device, so the fused CPU kernel runs."""

    def forward(self, x: Tensor) -> Tensor:
        assert float(x.sum()) < 1e9
        return F.scaled_dot_product_attention(x, x, x)


class LstmOnTheCpu(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        assert float(x.sum()) < 1e9
        return self.lstm(x)[0]


# fmt: off
CASES = {
    "conv, no bias":        (nn.Conv2d(3, 8, 3, padding=1, bias=False),   (1, 3, 16, 16),   55_296),  # 8·16·16·3·3·3
    "conv, batch of 2":     (nn.Conv2d(3, 8, 3, padding=1),               (2, 3, 16, 16),  110_592),
    "depthwise":            (nn.Conv2d(8, 8, 3, padding=1, groups=8),     (1, 8, 16, 16),   18_432),  # 8·16·16·3·3
    "grouped":              (nn.Conv2d(8, 4, 3, padding=1, groups=2),     (1, 8, 16, 16),   36_864),  # 4·256·4·9
    "dilated, strided":     (nn.Conv2d(2, 4, 3, 2, 2, 2),                 (1, 2, 16, 16),    4_608),  # 4·64·2·9
    "linear on 3-D":        (nn.Linear(16, 8),                            (1, 10, 16),       1_280),
    "linear on 1-D":        (nn.Linear(16, 8),                            (16,),               128),
    "F.conv2d":             (Functional(),                                (1, 3, 16, 16),   55_296),
    "one conv twice":       (Twice(),                                     (1, 3, 16, 16),   41_472),  # 2·3·256·27
    "transposed 4x4 s2":    (nn.ConvTranspose2d(8, 4, 4, 2, 1),           (1, 8, 8, 8),     32_768),  # 8·64·4·16
    "transposed, grouped":  (nn.ConvTranspose2d(8, 4, 4, 2, 1, groups=2), (1, 8, 8, 8),     16_384),
    "conv 1-D":             (nn.Conv1d(4, 6, 5, padding=2),               (1, 4, 20),        2_400),  # 6·20·4·5
    "conv 3-D":             (nn.Conv3d(2, 4, 3, padding=1),               (1, 2, 4, 8, 8),  55_296),  # 4·256·2·27
    "LSTM":                 (nn.LSTM(16, 8, batch_first=True),            (1, 10, 16),       7_680),  # 10·32·(16+8)
    "LSTM on real tensors": (LstmOnTheCpu(),                              (10, 1, 16),       7_680),
    "LSTM, 2 layers, both": (nn.LSTM(16, 8, 2, bidirectional=True),       (10, 1, 16),      30_720),  # 10·2·32·(24+24)
    "LSTM, projected":      (nn.LSTM(16, 8, proj_size=4),                 (10, 1, 16),       6_720),  # 10·(32·20+32)
    "GRU":                  (nn.GRU(16, 8),                               (10, 1, 16),       5_760),  # 10·24·24
    "RNN":                  (nn.RNN(16, 8),                               (10, 1, 16),       1_920),  # 10·8·24
    "einsum":               (Einsum(),                                    (2, 3, 5),         1_260),  # 2·3·5·6·7
    "bmm and matmul":       (Products(),                                  (2, 3, 5),           180),
    "attention":            (Attention(),                                 (1, 2, 4, 8),        512),  # 2·4·4·(8+8)
    "attention, fused":     (AttentionOnTheCpu(),                         (1, 2, 4, 8),        512),
    "pooling and norms":    (nn.Sequential(nn.BatchNorm2d(3), nn.MaxPool2d(2), nn.ReLU()),(1, 3, 8, 8),          0),
}
# fmt: on


@pytest.mark.parametrize("name", CASES)
def test_macs_are_those_counted_by_hand(name):
    model, shape, macs = CASES[name]
    measured = measure_network(model, shape)
    assert measured.complete and measured.unknown_operators == ()
    assert measured.macs == macs == sum(layer.macs for layer in measured.layers)


PLAIN = ["conv, batch of 2", "depthwise", "grouped", "dilated, strided", "transposed 4x4 s2", "conv 3-D", "einsum"]


@pytest.mark.parametrize("name", PLAIN)
def test_plain_cases_agree_with_the_counter_of_torch(name):
    model, shape, _ = CASES[name]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(shape))
    assert measure_network(model, shape).macs == counter.get_total_flops() / 2


def test_a_bilinear_layer_counts_both_products():
    examples = (torch.zeros(2, 3), torch.zeros(2, 4))
    assert measure_network(nn.Bilinear(3, 4, 5), examples).macs == 2 * 5 * (3 * 4 + 4)


def test_a_module_called_twice_has_one_row_and_its_parameters_once():
    measured = measure_network(Twice(), (1, 3, 16, 16))
    (layer,) = measured.layers
    assert (layer.path, layer.kind, layer.calls, layer.macs) == ("conv", "Conv2d", 2, 41_472)
    assert layer.parameters == measured.parameters == 81


def test_functional_calls_have_rows_at_the_module_that_makes_them():
    measured = measure_network(nn.Sequential(Functional(), nn.Flatten()), (1, 3, 16, 16))
    assert [(layer.path, layer.kind) for layer in measured.layers] == [("0", "Functional"), ("1", "Flatten")]
    residual = nn.Sequential(Residual())
    rows = [(layer.path, layer.kind, layer.parameters) for layer in measure_network(residual, (1, 3, 8, 8)).layers]
    assert rows == [("0.conv", "Conv2d", 84), ("0", "add", 0), ("0", "mul", 3), ("0.never", "Linear", 6)]


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale = nn.Conv2d(3, 3, 3, padding=1), nn.Parameter(torch.ones(3, 1, 1))
        self.never = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv(x) + x) * self.scale


def test_parameters_that_are_never_used_still_have_a_row():
    measured = measure_network(Residual(), (1, 3, 8, 8))
    assert sum(layer.parameters for layer in measured.layers) == measured.parameters == 93
    assert measured.layers[-1].calls == 0


def test_flops_by_hand():
    """conv: 2 · MACs + bias; batch norm 2 an element; ReLU 1; pooling 2x2: 4 an output; linear: 2 · MACs + bias."""
    layers = [nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)]
    measured = measure_network(nn.Sequential(*layers), (1, 1, 6, 6))
    conv, linear = 2 * 16 * 9, 8 * 3
    assert [layer.flops for layer in measured.layers] == [2 * conv + 32, 64, 32, 4 * 8, 0, 2 * linear + 3]
    assert measured.macs == conv + linear


def test_memory_by_hand():
    """Two maps of 4 x 8 x 8 floats: ReLU in place needs no memory, the copy does."""
    side = 4 * 8 * 8 * 4
    measured = measure_network(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True), nn.ReLU()), (1, 4, 8, 8))
    assert [layer.activation_bytes for layer in measured.layers] == [side, 0, side]
    assert measured.activation_bytes == 2 * side and measured.peak_activation_bytes == 3 * side
    assert measured.weight_bytes == 4 * (16 + 4)
    chain = nn.Sequential(*[nn.Conv2d(4, 4, 1) for _ in range(5)])
    assert measure_network(chain, (1, 4, 8, 8)).peak_activation_bytes == 3 * side


@torch.library.custom_op("convlens_test::mystery", mutates_args=())
def mystery(x: Tensor) -> Tensor:
    return x.cumsum(-1)


class Mystery(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return mystery(self.conv(x))


def test_an_unknown_operator_is_named_and_never_counted_as_zero():
    measured = measure_network(Mystery(), (1, 3, 16, 16))
    assert measured.unknown_operators == ("convlens_test::mystery",)
    assert not measured.complete
    assert [layer.macs for layer in measured.layers] == [55_296, None]
    assert measured.layers[1].flops is None and measured.macs == 55_296


def test_work_on_complex_numbers_is_unknown_and_views_of_them_are_free():
    class Rotation(nn.Module):
        def forward(self, x):
            pairs = torch.view_as_complex(x.reshape(4, 4, 2))
            return torch.view_as_real(pairs @ pairs)

    measured = measure_network(Rotation(), (1, 32))
    assert measured.unknown_operators == ("aten::mm",) and not measured.complete


def test_a_complex_convolution_is_the_three_real_ones_that_torch_computes():
    class Complex(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 3, dtype=torch.complex64)

        def forward(self, x):
            return self.conv(x.to(torch.complex64)).real

    assert measure_network(Complex(), (1, 3, 8, 8)).macs == 3 * (3 * 3 * 3 * 5 * 6 * 6)


def test_fourier_transforms_are_unknown_too():
    class Fourier(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.rfft2(x).abs()

    assert measure_network(Fourier(), (1, 3, 16, 16)).unknown_operators == ("aten::_fft_r2c",)


def bottleneck(channels: int) -> nn.Module:
    class Bottleneck(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            mid = channels // 4
            self.residual = nn.Sequential(
                nn.Conv2d(channels, mid, 1, bias=False), nn.BatchNorm2d(mid), nn.ReLU(inplace=True),
                nn.Conv2d(mid, mid, 3, padding=1, bias=False), nn.BatchNorm2d(mid), nn.ReLU(inplace=True),
                nn.Conv2d(mid, channels, 1, bias=False), nn.BatchNorm2d(channels),
            )  # fmt: skip
            self.act = nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.residual(x) + x)

    return Bottleneck()


def test_a_network_of_150_layers_is_measured_within_a_second_and_without_weights():
    with torch.device("meta"):
        blocks = [bottleneck(2048) for _ in range(50)]
        deep = nn.Sequential(nn.Conv2d(3, 2048, 7, 4, 3), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        deep.append(nn.Linear(2048, 1000))
    measure_network(nn.Conv2d(3, 3, 3), (1, 3, 8, 8))
    took = []
    for _ in range(3):  # a busy neighbour on the same core makes one of them slow
        start = time.process_time()
        measured = measure_network(deep, (1, 3, 224, 224))
        took.append(time.process_time() - start)
    assert min(took) < 1.0
    block = 2 * 2048 * 512 + 512 * 512 * 9
    assert measured.macs == 56 * 56 * (2048 * 3 * 49 + 50 * block) + 2048 * 1000
    assert measured.receptive_field == (7 + 4 * 2 * 50,) * 2 and measured.stride == (4.0, 4.0)


def test_receptive_field_columns_are_cumulative():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1))
    measured = measure_network(model, (1, 3, 40, 40))
    assert [layer.receptive_field for layer in measured.layers] == [(3, 3), (5, 5), (13, 13), (37, 37)]
    assert [layer.stride for layer in measured.layers][:3] == [(2.0, 2.0), (4.0, 4.0), (4.0, 4.0)]
    assert [layer.whole_picture for layer in measured.layers] == [False, False, False, True]
    assert measured.receptive_field == (13, 13)


def test_the_dict_is_json():
    measured = measure_network(Mystery(), (1, 3, 16, 16))
    plain = json.loads(json.dumps(measured.to_dict(), allow_nan=False))
    assert plain == measured.to_dict()
    assert plain["layers"][0]["output_shape"] == [1, 8, 16, 16] and plain["layers"][1]["macs"] is None


def test_a_wrong_shape_is_one_clear_error():
    with pytest.raises(NetworkError, match=r"Conv2d cannot run on an input of \(1, 4, 8, 8\).*batch included"):
        measure_network(nn.Conv2d(3, 3, 3), (1, 4, 8, 8))


class LearntQueries(nn.Module):
    """The queries are parameters: their projection hangs on no picture."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, 10, 16))
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.queries, x, x)[0]


def test_the_rows_add_up_where_parameters_alone_are_worked_on():
    measured = measure_network(LearntQueries(), (1, 7, 16))
    # projections of 10 queries, 7 keys, 7 values and 10 results, 16 to 16; two products of 10 and 7, of 16 channels
    assert measured.macs == (10 + 7 + 7 + 10) * 16 * 16 + 2 * 10 * 7 * 16
    assert sum(layer.macs for layer in measured.layers) == measured.macs


@pytest.mark.parametrize("given", [None, "resnet18", nn.Conv2d])
def test_what_is_no_network_is_told(given):
    with pytest.raises(UsageError, match=r"the network came as .*; expected an nn\.Module"):
        measure_network(given, (1, 3, 8, 8))
