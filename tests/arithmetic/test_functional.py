"""Networks written as nobody in the zoo writes them: functions, reused modules, in-place operations, odd windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.arithmetic import Step, record_values, take_apart
from convlens.arithmetic.asked import RULES, Asked
from convlens.layers.fake_quantised import InputScale, fake_quantised
from tests.arithmetic.recomputed import check, floating, picture, served, units


class Written(nn.Module):
    """A forward of one's own over a few layers."""

    def __init__(self, run: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def reused(m: Written, x: Tensor) -> Tensor:
    return m.conv(F.relu(m.conv(x))) + x


def branches(m: Written, x: Tensor) -> Tensor:
    gate = torch.sigmoid(m.squeeze(x.mean((2, 3), keepdim=True)))
    y = torch.cat([x * gate, F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), m.conv(x)], 1)
    return y[:, ::2].flip(3)


def shuffled(m: Written, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    y = m.grouped(x).view(n, 3, 2, h, w).transpose(1, 2).reshape(n, c, h, w)
    one, two = y.chunk(2, 1)
    return torch.stack([one, F.pad(two, (1, 1, 0, 0), mode="reflect")[..., 2:]], 2).flatten(1, 2)


def in_place(m: Written, x: Tensor) -> Tensor:
    y = m.conv(x)
    y.relu_()
    y += x
    return y.mul_(2).clamp_(-1, 4)


def written_into(m: Written, x: Tensor) -> Tensor:
    """The first half is moved on by a row, as networks for video do."""
    y = torch.zeros_like(x)
    y[:, :3, 1:] = x[:, :3, :-1]
    y[:, 3:] = x[:, 3:]
    return m.conv(y)


def windows(m: Written, x: Tensor) -> Tensor:
    y = F.max_pool2d(m.dilated(x), 3, 2, 1, ceil_mode=True)
    y = F.avg_pool2d(y, (2, 3), (1, 2), (1, 1), ceil_mode=True)
    return F.adaptive_avg_pool2d(F.adaptive_max_pool2d(y, (3, 4)), (2, 3))


def norms(m: Written, x: Tensor) -> Tensor:
    y = m.batch(m.group(F.instance_norm(x)))
    return m.layer(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def numbers(m: Written, x: Tensor) -> Tensor:
    y = 3 - x.abs().sqrt() / 2 + torch.maximum(x, -x) ** 2
    return torch.lerp(y, x, 0.25) + F.leaky_relu(x, 0.2) * F.hardsigmoid(x) - torch.where(x > 0, x, y).add(x, alpha=0.5)


def transposed(m: Written, x: Tensor) -> Tensor:
    return m.down(m.up(x)) + F.interpolate(x, scale_factor=1.0, mode="nearest")


def attention(m: Written, x: Tensor) -> Tensor:
    rows = x.flatten(2)  # (N, C, HW)
    shares = torch.softmax(rows @ rows.transpose(1, 2) / 8, dim=-1)
    return torch.log_softmax(m.dense((shares @ rows).amax(2)), 1)


NETWORKS = {
    "a module that runs twice": Written(reused, conv=nn.Conv2d(6, 6, 3, padding=1)),
    "branches and gates": Written(branches, squeeze=nn.Conv2d(6, 6, 1), conv=nn.Conv2d(6, 4, 1, bias=False)),
    "a shuffle of groups": Written(shuffled, grouped=nn.Conv2d(6, 6, 3, padding=1, groups=3)),
    "in-place operations": Written(in_place, conv=nn.Conv2d(6, 6, 3, padding=1)),
    "dilated and pooled windows": Written(windows, dilated=nn.Conv2d(6, 8, 3, padding=(2, 0), dilation=2, groups=2)),
    "norms": Written(norms, group=nn.GroupNorm(3, 6), batch=nn.BatchNorm2d(6), layer=nn.LayerNorm(6)),
    "numbers": Written(numbers),
    "transposed convolutions": Written(
        transposed,
        up=nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
        down=nn.Conv2d(4, 6, 2, stride=2),
    ),
    "rounding as 8 bits do": fake_quantised(
        nn.Sequential(nn.Conv2d(6, 3, 3), nn.SiLU(), nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(), nn.Linear(18, 4)),
        {"0": InputScale(0.03, 120), "4": InputScale(0.01, 20)},
    ),
    "attention": Written(attention, dense=nn.Linear(6, 5)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_node_of_a_network_of_one_s_own_is_a_sum(name: str) -> None:
    torch.manual_seed(3)
    model = NETWORKS[name]
    recording = record_values(model, picture(1, 6, 9, 11))
    random = np.random.default_rng(5)
    for node in floating(recording):
        for position in units(recording, node, 6, random):
            check(recording, node, position)
    with torch.no_grad():
        expected = model.eval()(picture(1, 6, 9, 11))
    assert np.array_equal(recording.value(recording.graph.output_nodes[0]), expected.numpy())


def test_padding_takes_no_part_in_a_maximum_of_negative_numbers() -> None:
    recording = record_values(nn.MaxPool2d(3, 2, 1), -1 - picture(1, 2, 5, 5).abs())
    for position in ((0, 0, 0), (1, 2, 2), (1, 0, 2)):
        (step,) = check(recording, 0, position)["steps"]
        assert step["value"] < -1 and np.array(step["padded"]).any()


def test_an_operator_that_did_more_than_its_rule_says_is_unknown_rather_than_wrong() -> None:
    places = torch.tensor([0, 0, 0])

    def twice(m: Written, x: Tensor) -> Tensor:
        return x.index_put((places,), x.new_ones(3, 4), accumulate=True)  # adds, where the rule says that it moves

    recording = record_values(Written(twice), picture(1, 4))
    unit = served(take_apart(recording, recording.graph.output_nodes[0], (0, 1)))
    assert unit["steps"][-1]["known"] is False and unit["computed"] is None


@pytest.mark.parametrize("operator", ["log", "log1p", "rsqrt", "sqrt", "reciprocal", "exp", "floor", "round", "mish"])
def test_what_is_no_number_is_none_in_the_arithmetic_either(operator: str) -> None:
    odd = torch.tensor([0.0, -0.5, -1, -3, 1e30, 200, torch.inf, -torch.inf, torch.nan, 0.7])
    function = getattr(F, operator, None) or getattr(torch, operator)
    model = Written(lambda m, x: torch.softmax(m.conv(function(x)), 3), conv=nn.Conv2d(1, 1, (1, 3)))
    recording = record_values(model, odd.view(1, 1, 1, 10))
    for node, tensor in enumerate(recording.made):
        for column in range(tensor[0].shape[3]):
            unit = take_apart(recording, node, (0, 0, column))
            assert all(step.agrees for step in unit.steps), (column, unit.steps[-1])


def test_where_channels_come_last_a_unit_sees_what_lies_around_its_row_and_column() -> None:
    def channels_last(m: Written, x: Tensor) -> Tensor:
        return m.dense(m.conv(x).permute(0, 2, 3, 1)).mean((1, 2))

    model = Written(channels_last, conv=nn.Conv2d(1, 6, 3, padding=1), dense=nn.Linear(6, 4))
    recording = record_values(model, picture(1, 1, 12, 12))
    maps = [node.index for node in recording.graph.nodes if node.output_shape in ((1, 12, 12, 6), (1, 12, 12, 4))]
    assert len(maps) >= 2
    for node in maps:
        field = take_apart(recording, node, (2, 9, 1)).receptive_field
        assert field is not None and (field.top, field.bottom, field.left, field.right) == (1, 3, 8, 10)


def test_a_choice_is_what_was_chosen_where_the_other_is_no_number() -> None:
    def chosen(m: Written, x: Tensor) -> Tensor:
        return torch.where(x > 0, x.sqrt(), x) + x.log().masked_fill(x < 0, 2.0)

    recording = record_values(Written(chosen), torch.tensor([[0.5, -0.5]]))
    for node in floating(recording):
        for position in ((0, 0), (0, 1)):
            assert all(step.agrees for step in take_apart(recording, node, position).steps)


def test_what_was_written_into_by_others_is_read_as_it_was_and_not_walked_to() -> None:
    torch.manual_seed(0)
    model = Written(written_into, conv=nn.Conv2d(6, 2, 3))
    recording = record_values(model, picture(1, 6, 9, 11))
    last = recording.graph.output_nodes[0]
    unit = check(recording, last, (0, 1, 0, 3))
    (step,) = unit["steps"]
    assert np.abs(step["inputs"]).sum() > 0
    assert step["reads"]["node"] is None


def test_a_node_keeps_its_numbers_when_the_next_works_in_place() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Hardswish(inplace=True))
    image = picture(1, 1, 6, 6)
    recording = record_values(model, image)
    with torch.no_grad():
        maps = model[0](image)
        expected = [maps, maps.relu(), F.hardswish(maps.relu())]
    for node, values in enumerate(expected):
        assert np.array_equal(recording.value(node), values.numpy())
    assert (recording.value(0) < 0).any()


def test_of_the_steps_the_first_gathers_and_the_last_is_the_unit() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU6(), nn.Flatten(), nn.Linear(4 * 16, 2))
    recording = record_values(model, picture(1, 3, 6, 6))
    flat = take_apart(recording, 3, (17,))
    assert [step.op for step in flat.steps] == ["convolution", "normalisation", "hardtanh", "moved"]
    assert [step.layer for step in flat.steps] == ["0", "1", "2", "3"] and flat.kind == "Flatten"
    assert flat.steps[-1].reads.index == (0, 1, 0, 1)  # type: ignore[attr-defined]
    assert served(take_apart(recording, -1, (2, 5, 5)))["steps"] == []
    dense = served(take_apart(recording, 4, (1,)))["steps"]
    assert len(dense) == 1 and dense[0]["reads"]["channels"] == list(range(64))


def test_an_operator_without_a_rule_says_so_and_names_what_it_reads() -> None:
    model = Written(lambda m, x: torch.cumsum(F.relu(x), 3).sort(3)[0])
    recording = record_values(model, picture(1, 2, 3, 4))
    node = recording.graph.output_nodes[0]
    unit = served(take_apart(recording, node, (0, 1, 2)))
    (step,) = unit["steps"]
    assert step["known"] is False and unit["computed"] is None and unit["agrees"] is False
    assert step["operands"][0]["reads"]["node"] == node - 1
    below = served(take_apart(recording, node - 1, (0, 1, 2)))["steps"][0]
    assert below["known"] is False and below["operands"][0]["reads"]["layer"] == "relu"


@pytest.mark.parametrize("wrong", ["fails", "differs"])
def test_a_rule_that_fails_or_gives_another_number_is_not_shown(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    recording = record_values(nn.ReLU(), picture(1, 1, 2, 2).abs() + 1)
    right = RULES["relu"]

    def rule(asked: Asked) -> Step:
        if wrong == "fails":
            raise KeyError("slope")
        step = right(asked)
        return replace(step, computed=-step.value)

    monkeypatch.setitem(RULES, "relu", rule)
    (step,) = served(take_apart(recording, 0, (0, 1, 1)))["steps"]
    assert step["known"] is False and step["operands"][0]["reads"]["node"] == -1
