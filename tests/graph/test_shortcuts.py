"""The shortcuts give exactly what torch gives: shape, type and memory layout."""

from __future__ import annotations

import subprocess
import sys
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
    for op in sorted(ELEMENTWISE, key=str)
    if "_." not in str(op)
]

PICTURES = tensor(2, 4, 9, 11)


def convolution(
    filters: torch.Tensor, strides: Any, paddings: Any, dilations: Any = (1, 1), groups: int = 1
) -> tuple[Any, ...]:
    bias = tensor(len(filters)) if groups == 1 else None
    return (PICTURES, filters, bias, list(strides), list(paddings), list(dilations), False, [0, 0], groups)


TAKEN: list[tuple[Any, tuple[Any, ...]]] = [
    (aten.convolution.default, convolution(tensor(6, 4, 3, 3), (1, 1), (1, 1))),
    (aten.convolution.default, convolution(tensor(6, 4, 3, 5), (2, 3), (0, 2), (3, 2))),
    (aten.convolution.default, convolution(tensor(8, 1, 2, 2), (2, 2), (0, 1), groups=4)),
    (aten.convolution.default, (tensor(2, 3, 9), tensor(5, 3, 2), None, [2], [1], [3], False, [0], 1)),
    (aten.convolution.default, (tensor(2, 3, 5, 6, 7), tensor(4, 3, 1, 2, 3), None, *[[1, 1, 1]] * 3, False, [0], 1)),
    (aten.max_pool2d_with_indices.default, (PICTURES, [2, 2])),
    (aten.max_pool2d_with_indices.default, (PICTURES, [2, 3], [2, 2], [0, 1], [1, 1], True)),
    (aten.max_pool2d_with_indices.default, (PICTURES, [2, 2], [3, 3], [1, 1], [1, 1], True)),
    (aten.max_pool2d_with_indices.default, (PICTURES, [10, 3], [2, 2], [0, 0], [1, 1], True)),
    (aten.avg_pool2d.default, (PICTURES, [3, 2], [2, 2], [0, 1], False, True)),
    (aten.avg_pool2d.default, (PICTURES, [2, 2], [2, 2], [1, 1], True)),
    (aten._adaptive_avg_pool2d.default, (PICTURES, [1, 1])),
    (aten._adaptive_avg_pool2d.default, (PICTURES, [13, 6])),
    (aten.adaptive_max_pool2d.default, (PICTURES, [2, 3])),
    (aten.cat.default, ([PICTURES, tensor(2, 1, 9, 11)], 1)),
    (aten.cat.default, ([tensor(2, 3), tensor(5, 3)],)),
    (aten.mm.default, (tensor(2, 3), tensor(3, 5))),
    (aten.addmm.default, (tensor(5), tensor(2, 3), tensor(3, 5))),
    (aten.mul.Tensor, (tensor(2, 3, 4, 4), tensor(3, 1, 1))),
]
LEFT: list[tuple[Any, tuple[Any, ...]]] = [
    (aten.convolution.default, convolution(tensor(6, 3, 3, 3), (1, 1), (1, 1))),
    (aten.convolution.default, convolution(tensor(6, 4, 12, 3), (1, 1), (1, 1))),
    (aten.convolution.default, convolution(tensor(6, 4, 3, 3, dtype=torch.float64), (1, 1), (1, 1))),
    (aten.convolution.default, (PICTURES, tensor(4, 6, 3, 3), None, [1, 1], [0, 0], [1, 1], True, [0, 0], 1)),
    (aten.max_pool2d_with_indices.default, (PICTURES, [10, 2])),
    (aten.max_pool2d_with_indices.default, (PICTURES, [2, 2], [2, 2], [2, 0])),
    (aten.max_pool2d_with_indices.default, (PICTURES, [2, 2], [2, 2], [0, 0], [2, 2])),
    (aten.max_pool2d_with_indices.default, (PICTURES, [2, 2], [2, 2], [-1, 0])),
    (aten.avg_pool2d.default, (PICTURES, [10, 2])),
    (aten.avg_pool2d.default, (PICTURES, [0, 2], [1, 1])),
    (aten.avg_pool2d.default, (PICTURES, [2, 2], [2, 2], [0, 0], False, True, 0)),
    (aten.avg_pool2d.default, (tensor(2, 0, 9, 11), [2, 2])),
    (aten.avg_pool2d.default, (PICTURES[0], [2, 2])),
    (aten._adaptive_avg_pool2d.default, (PICTURES.to(memory_format=torch.channels_last), [1, 1])),
    (aten.cat.default, ([PICTURES, tensor(2, 4, 9, 10)], 1)),
    (aten.cat.default, ([PICTURES, PICTURES], 4)),
    (aten.cat.default, ([PICTURES, tensor(0)], 0)),
    (aten.cat.default, ([tensor(2, 1, 8, 8).to(memory_format=torch.channels_last)] * 2, 1)),
    (aten.mm.default, (tensor(2, 3), tensor(4, 5))),
    (aten.mm.default, (tensor(2, 3, 4), tensor(3, 5))),
    (aten.mean.dim, (PICTURES, [5])),
    (aten.mul.Tensor, (tensor(4, 4), tensor(3, 1, 1))),
    (aten.mul.Tensor, (tensor(4, 1), tensor(4))),
    (aten.mul.Tensor, (tensor(4), 1j)),
    (aten.add.Tensor, (tensor(4), 2 + 1j)),
]


def on_meta(args: Any) -> list[Any]:
    moved = [[t.to("meta") for t in v] if isinstance(v, list) and isinstance(v[0], torch.Tensor) else v for v in args]
    return [value.to("meta") if isinstance(value, torch.Tensor) else value for value in moved]


@pytest.mark.parametrize(("operation", "args"), TAKEN)
def test_what_a_shortcut_is_for_it_takes_and_agrees_with_torch(operation, args):
    got, want = known_result(operation, on_meta(args), {}), operation(*args)
    assert isinstance(got, tuple) == isinstance(want, tuple)
    pairs = zip(got, want, strict=True) if isinstance(got, tuple) else [(got, want)]
    for mine, torchs in pairs:
        assert mine.is_meta and (mine.shape, mine.dtype) == (torchs.shape, torchs.dtype)
        assert mine.stride() == torchs.stride()


@pytest.mark.parametrize(("operation", "args"), LEFT)
def test_all_else_is_left_to_torch(operation, args):
    assert known_result(operation, on_meta(args), {}) is None


def test_another_type_is_left_to_torch():
    assert known_result(aten.mean.dim, on_meta((PICTURES, [2, 3])), {"dtype": torch.float64}) is None


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "googlenet", "densenet121", "resnet50", "mobilenet_v3_small"])
def test_measuring_a_network_imports_no_part_of_torchs_compiler(name):
    code = (
        "import sys; from convlens import measure; "
        f"measure({name!r}); "
        "print([m for m in ('sympy', 'torch._dynamo', 'torch.fx.experimental.symbolic_shapes') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("operation", "args"), CASES)
def test_a_shortcut_agrees_with_torch_or_stands_back(operation, args):
    meta = [value.to("meta") if isinstance(value, torch.Tensor) else value for value in args]
    result = known_result(operation, meta, {})
    if result is None:
        return
    expected = operation(*args)
    pairs = [(result, expected)] if isinstance(result, torch.Tensor) else [(result[0], expected[0])]
    for got, want in pairs:
        assert got.is_meta and got.shape == want.shape and got.dtype == want.dtype and got.stride() == want.stride()


def test_wrong_shapes_are_left_to_torch():
    with torch.device("meta"):
        assert known_result(aten.addmm.default, (torch.empty(5), torch.empty(2, 3), torch.empty(4, 5)), {}) is None
        assert known_result(aten.mean.dim, (torch.empty(2, 3), [0, 0]), {}) is None


def test_writes_in_place_give_their_operand():
    with torch.device("meta"):
        x = torch.empty(2, 3)
        assert known_result(aten.relu_.default, (x,), {}) is x
        assert known_result(aten.add_.Tensor, (x, torch.empty(3)), {}) is x
