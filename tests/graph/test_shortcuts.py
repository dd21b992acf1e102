"""The shortcuts give exactly what torch gives: shape, type and memory layout."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from convlens.graph.shortcuts import ELEMENTWISE, known_result

aten = torch.ops.aten


def tensor(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(shape).to(dtype)


CASES: list[tuple[Any, tuple[Any, ...]]] = [
    (aten.native_batch_norm.default, (tensor(2, 3, 4, 4), *(tensor(3) for _ in range(4)), False, 0.1, 1e-5)),
    (aten.addmm.default, (tensor(5), tensor(2, 3), tensor(3, 5))),
    (aten.mean.dim, (tensor(2, 3, 4, 5), [-1, -2], True)),
    (aten.mean.dim, (tensor(2, 3, 4, 5), [2, 3])),
    (aten.mean.dim, (tensor(2, 3), [])),
    (aten.mul.Tensor, (tensor(2, 3, 4, 4), tensor(2, 3, 1, 1))),
    (aten.add.Tensor, (tensor(3, 1), tensor(1, 4))),
    (aten.add.Tensor, (tensor(3), tensor(3, dtype=torch.float64))),
    (aten.add.Tensor, (torch.ones(3, dtype=torch.int64), tensor(3))),
    (aten.relu.default, (tensor(1, 3, 4, 4).to(memory_format=torch.channels_last),)),
    (aten.relu.default, (torch.ones(3, dtype=torch.int64),)),
]
CASES += [
    (op, (tensor(2, 3),) * (1 + (op in {aten.add.Tensor, aten.mul.Tensor})))
    for op in ELEMENTWISE
    if "_." not in str(op)
]


@pytest.mark.parametrize(("operation", "args"), CASES)
def test_a_shortcut_agrees_with_torch_or_stands_back(operation, args):
    meta = [value.to("meta") if isinstance(value, torch.Tensor) else value for value in args]
    result = known_result(operation, meta)
    if result is None:
        return
    expected = operation(*args)
    pairs = [(result, expected)] if isinstance(result, torch.Tensor) else [(result[0], expected[0])]
    for got, want in pairs:
        assert got.is_meta and got.shape == want.shape and got.dtype == want.dtype and got.stride() == want.stride()


def test_wrong_shapes_are_left_to_torch():
    with torch.device("meta"):
        assert known_result(aten.addmm.default, (torch.empty(5), torch.empty(2, 3), torch.empty(4, 5))) is None
        assert known_result(aten.mean.dim, (torch.empty(2, 3), [0, 0])) is None


def test_writes_in_place_give_their_operand():
    with torch.device("meta"):
        x = torch.empty(2, 3)
        assert known_result(aten.relu_.default, (x,)) is x
        assert known_result(aten.add_.Tensor, (x, torch.empty(3))) is x
