"""Rosenblatt's rule learns what a line divides, within Novikoff's bound, and nothing else."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from convlens.errors import DataError, UsageError
from convlens.layers import ThresholdUnit, common_point, novikoff_bound, separator

CORNERS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
# fmt: off
#          inputs,                          labels,       widest separator (w, b), bound R^2 |(w, b)|^2
LEARNED = {
    "AND": (CORNERS,                        [0, 0, 0, 1], [2, 2, -3],              3 * 17),
    "OR":  (CORNERS,                        [0, 1, 1, 1], [2, 2, -1],              3 * 9),
    "NOT": (torch.tensor([[0.0], [1.0]]),   [1, 0],       [-2, 1],                 2 * 5),
}
# fmt: on
XOR = torch.tensor([0, 1, 1, 0])


@pytest.mark.parametrize("function", LEARNED)
def test_a_function_that_a_line_divides_is_learned_within_the_bound_in_every_order(function: str) -> None:
    inputs, values, weights, bound = LEARNED[function]
    labels = torch.tensor(values)
    found = separator(inputs, labels)
    assert found is not None and found.tolist() == pytest.approx(weights, abs=1e-9)
    assert novikoff_bound(inputs, labels) == pytest.approx(bound)
    assert common_point(inputs, labels) is None
    for order in itertools.permutations(range(len(inputs))):
        unit = ThresholdUnit(inputs.shape[1])
        corrections = unit.fit(inputs[list(order)], labels[list(order)])
        assert corrections is not None and 0 < corrections <= bound
        assert torch.equal(unit(inputs), labels)


def test_xor_is_never_learned_for_its_two_hulls_cross_in_the_middle() -> None:
    assert separator(CORNERS, XOR) is None and novikoff_bound(CORNERS, XOR) is None
    point = common_point(CORNERS, XOR)
    assert point is not None and point.tolist() == pytest.approx([0.5, 0.5])
    for order in itertools.permutations(range(4)):
        unit = ThresholdUnit(2)
        assert unit.fit(CORNERS[list(order)], XOR[list(order)], max_passes=100) is None
        assert not torch.equal(unit(CORNERS), XOR)


def test_of_the_16_functions_of_two_inputs_all_but_xor_and_its_opposite_are_learned() -> None:
    for values in itertools.product((0, 1), repeat=4):
        labels = torch.tensor(values)
        learned = ThresholdUnit(2).fit(CORNERS, labels)
        bound = novikoff_bound(CORNERS, labels)
        assert (bound is None) == (learned is None) == (sorted([values[0:4:3], values[1:3]]) == [(0, 0), (1, 1)])
        assert learned is None or bound is None or learned <= bound


def cloud(seed: int, gap: float) -> tuple[Tensor, Tensor]:
    """Points in five dimensions, none of them within `gap` of a plane."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(200, 5, generator=generator) * 10
    side = points @ torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0]) / 3.775 - 1
    kept = side.abs() > gap
    return points[kept], (side[kept] > 0).long()


@pytest.mark.parametrize("seed", range(5))
def test_corrections_on_many_points_stay_within_the_bound_and_the_margin_is_the_widest(seed: int) -> None:
    inputs, labels = cloud(seed, gap=1.0)
    bound, weights = novikoff_bound(inputs, labels), separator(inputs, labels)
    corrections = ThresholdUnit(5).fit(inputs, labels)
    assert bound is not None and weights is not None and corrections is not None and corrections <= bound
    sides = (2 * labels - 1) * (inputs.double() @ weights[:5] + weights[5])
    assert sides.min() == pytest.approx(1)
    assert ((sides < 1 + 1e-6).sum() >= 2) and 1 / weights.norm() >= 1.0 / (1 + 1) ** 0.5


def test_points_on_both_sides_have_a_common_point_in_place_of_a_separator() -> None:
    inputs, labels = cloud(0, gap=1.0)
    labels[int(inputs.norm(dim=1).argmin())] ^= 1
    assert separator(inputs, labels) is None and common_point(inputs, labels) is not None


@pytest.mark.parametrize("labels", [[0, 1, 2, 0], [0, 1], [-1, 1, 1, -1]])
def test_labels_that_are_not_a_0_or_1_for_each_input_are_refused(labels: list[int]) -> None:
    with pytest.raises(UsageError, match=r"inputs of shape \(4, 2\) came with labels .*; expected \(N, D\), and N"):
        separator(CORNERS, torch.tensor(labels))
    with pytest.raises(UsageError, match="labels of 0 or 1"):
        ThresholdUnit(2).fit(CORNERS, torch.tensor(labels))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e200])
def test_inputs_that_are_no_finite_numbers_are_never_taken_for_such_as_no_line_divides(number: float) -> None:
    inputs, labels = CORNERS.double(), torch.tensor([0, 0, 0, 1])
    inputs[3, 1] = number
    for ask in (ThresholdUnit(2).double().fit, separator, common_point, novikoff_bound):
        with pytest.raises(DataError, match=r"inputs hold NaN, infinity or numbers past 1e\+30; expected finite ones"):
            ask(inputs, labels)


def test_what_a_unit_cannot_learn_from_is_told() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    with pytest.raises(UsageError, match="inputs and labels came as ndarray and list; expected tensors"):
        separator(CORNERS.numpy(), labels.tolist())
    with pytest.raises(UsageError, match="N and D of at least 1"):
        separator(CORNERS[:0], labels[:0])
    with pytest.raises(UsageError, match=r"inputs came with shape \(4, 2\); expected \(N, 3\)"):
        ThresholdUnit(3).fit(CORNERS, labels)
    for passes in (0, 2.5):
        with pytest.raises(UsageError, match=r"max_passes is .*, expected a whole number of at least 1"):
            ThresholdUnit(2).fit(CORNERS, labels, max_passes=passes)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="inputs is 0, expected a whole number of at least 1"):
        ThresholdUnit(0)


def test_inputs_of_another_width_are_told() -> None:
    with pytest.raises(UsageError, match=r"inputs came with shape \(4, 3\); expected \(N, 2\)"):
        ThresholdUnit(2)(torch.zeros(4, 3))
