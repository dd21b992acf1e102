"""A network that rounds as its 8-bit version does."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

from convlens.errors import NetworkError
from convlens.graph import trace
from convlens.layers import SameConv2d
from convlens.layers.fake_quantised import (
    InputScale,
    fake_quantised,
    float_network,
    input_scales,
    rounded_input,
    rounded_weight,
    scales_from_json,
    scales_to_json,
)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    normed = [nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    return nn.Sequential(*normed, SameConv2d(8, 8, 3, stride=2), nn.Flatten(), nn.Linear(8 * 9, 4)).eval()


SCALES = {"0": InputScale(0.02, 128), "3": InputScale(0.01, 0), "5": InputScale(0.015, 100)}
IMAGES = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-1.0, 3.0), (0.5, 2.0), (-2.0, -1.0), (0.0, 0.0)])
def test_a_scale_of_a_range_has_all_its_values_and_zero(low: float, high: float) -> None:
    scale = InputScale.of_range(low, high)
    bottom, top = scale.range
    assert bottom <= min(low, 0) + scale.step / 2 and top >= max(high, 0) - scale.step / 2
    assert rounded_input(torch.zeros(1), scale) == 0 and 0 <= scale.zero_point <= 255


def test_inputs_are_rounded_as_torchs_own_operator_rounds_them() -> None:
    x = torch.randn(10_000, generator=torch.Generator().manual_seed(0)) * 3
    scale = InputScale(0.017, 90)
    expected = torch.fake_quantize_per_tensor_affine(x, scale.step, scale.zero_point, 0, 255)
    torch.testing.assert_close(rounded_input(x, scale), expected, atol=1e-6, rtol=0)


def test_weights_are_rounded_as_torchs_own_operator_rounds_them() -> None:
    weight = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    step = weight.abs().amax((1, 2, 3)) / 127
    zero = torch.zeros(6, dtype=torch.int32)
    expected = torch.fake_quantize_per_channel_affine(weight, step, zero, 0, -127, 127)
    torch.testing.assert_close(rounded_weight(weight), expected, atol=1e-6, rtol=0)
    assert len((rounded_weight(weight)[0] / step[0]).round(decimals=3).unique()) <= 255
    assert torch.equal(rounded_weight(torch.zeros(2, 3)), torch.zeros(2, 3))


def test_a_batch_norm_after_a_layer_may_be_folded_before_or_after_rounding() -> None:
    weight, factor = torch.randn(6, 5, 3, 3), torch.tensor([0.1, -2.0, 3.0, 1e-3, -7.0, 1.0])[:, None, None, None]
    torch.testing.assert_close(rounded_weight(weight * factor), rounded_weight(weight) * factor)


def test_gradients_pass_the_rounding_and_stop_where_values_are_clipped() -> None:
    x = torch.tensor([-5.0, -0.303, 0.0, 0.404, 5.0], requires_grad=True)
    (3 * rounded_input(x, InputScale(0.01, 100))).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0, 3, 3, 3, 0]
    weight = torch.randn(3, 4, requires_grad=True)
    (rounded_weight(weight) * 2).sum().backward()
    assert weight.grad is not None and torch.equal(weight.grad, torch.full((3, 4), 2.0))


def test_a_network_computes_with_rounded_weights_and_inputs_and_keeps_the_float_ones() -> None:
    plain, made = network(), fake_quantised(network(), SCALES)
    assert all(torch.equal(made.state_dict()[name], tensor) for name, tensor in plain.state_dict().items())
    assert made.state_dict().keys() == plain.state_dict().keys()

    def rounded(layer: nn.Module, x: Tensor, scale: InputScale) -> Tensor:
        with torch.no_grad():
            layer.weight.copy_(rounded_weight(layer.weight))  # type: ignore[operator, arg-type]
        return layer(rounded_input(x, scale))

    hidden = plain[2](plain[1](rounded(plain[0], IMAGES, SCALES["0"])))
    hidden = plain[4](rounded(plain[3], hidden, SCALES["3"]))
    torch.testing.assert_close(made(IMAGES), rounded(plain[5], hidden, SCALES["5"]))
    assert not torch.allclose(made(IMAGES), network()(IMAGES), atol=1e-4)


def test_it_is_a_copy_that_can_be_copied_made_float_again_traced_and_loaded() -> None:
    plain = network()
    made = fake_quantised(plain, SCALES)
    assert input_scales(made) == SCALES and input_scales(plain) == {}
    again = fake_quantised(made, SCALES)
    assert torch.equal(again(IMAGES), made(IMAGES))
    back = float_network(made)
    assert torch.equal(back(IMAGES), plain(IMAGES)) and type(back[3]) is SameConv2d  # type: ignore[index]
    assert isinstance(made[3], SameConv2d)  # type: ignore[index]
    assert len(trace(made, (1, 3, 8, 8)).nodes) > len(trace(plain, (1, 3, 8, 8)).nodes)
    made.load_state_dict({name: tensor * 2 for name, tensor in plain.state_dict().items()})
    assert torch.equal(made.state_dict()["0.weight"], plain.state_dict()["0.weight"] * 2)


def test_the_float_weights_learn() -> None:
    made = fake_quantised(network(), SCALES)
    before = made.state_dict()["0.weight"].clone()
    optimiser = torch.optim.SGD(made.parameters(), lr=0.1)
    made(IMAGES).square().sum().backward()
    optimiser.step()
    assert not torch.equal(made.state_dict()["0.weight"], before)


def test_scales_survive_json_bit_for_bit() -> None:
    scales = {"a": InputScale(1 / 3, 7), "b.c": InputScale(1e-12, 255)}
    assert scales_from_json(json.loads(json.dumps(scales_to_json(scales)))) == scales


@pytest.mark.parametrize(
    "values", [{"a": 3}, {"a": [1]}, {"a": ["x", 0]}, {"a": [0.0, 0]}, {"a": [0.1, 256]}, {"a": [float("nan"), 1]}]
)
def test_what_are_no_scales_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(NetworkError, match="scale"):
        scales_from_json(values)


@pytest.mark.parametrize(("path", "kind"), [("2", "ReLU"), ("7", "nothing"), ("", "Sequential")])
def test_a_scale_that_fits_no_layer_is_refused(path: str, kind: str) -> None:
    with pytest.raises(NetworkError, match=f"the scale of '{path}' fits no layer: {kind} stands there"):
        fake_quantised(network(), {path: InputScale(0.1, 0)})
