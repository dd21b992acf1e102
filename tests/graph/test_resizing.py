"""Resized maps have the fields that torch really reads, float32 and all: by values, and by gradients."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.graph import ReceptiveField, trace

# fmt: off
MODES: list[dict[str, Any]] = [
    {"mode": "nearest"}, {"mode": "nearest-exact"},
    *({"mode": mode, "align_corners": corners, "antialias": antialias}
      for mode, corners, antialias in product(("bilinear", "bicubic"), (False, True), (False, True))),
]
PAIRS = [
    *product(range(1, 10), range(1, 10)), (26, 22), (14, 23), (23, 14), (5, 31), (31, 5), (32, 8), (16, 64), (29, 30),
]
# fmt: on


class Resized(nn.Module):
    def __init__(self, **how: Any) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, **self.how)


def field_of(model: nn.Module, shape: tuple[int, ...]) -> ReceptiveField:
    graph = trace(model, shape)
    field = graph.receptive_field(graph.nodes[-1])
    assert field is not None and field.exact
    return field


def rows_read(model: nn.Module, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Each channel holds one row of ones, and comes out at the units that read it."""
    rows = torch.eye(n)[None, :, :, None].expand(1, n, n, 3).contiguous()
    read = model(rows)[0, :, :, 0].numpy() != 0
    return read.argmax(0), n - 1 - read[::-1].argmax(0)


@pytest.mark.parametrize("how", MODES, ids=lambda how: "-".join(map(str, how.values())))
def test_a_resized_map_reads_the_rows_that_torch_reads(how):
    for n, k in PAIRS:
        model = Resized(size=(k, 4), **how)
        field = field_of(model, (1, 1, n, 3))
        first, last = rows_read(model, n)
        assert (field.low[0], field.high[0]) == (tuple(first), tuple(last)), (n, k)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize("scale", [0.3, 0.7, 1.04, 1.7, 3.1])
def test_a_map_resized_by_a_factor_does_too(mode, scale):
    for n in (4, 7, 13, 20):
        model = Resized(scale_factor=(scale, 1.0), mode=mode)
        field = field_of(model, (1, 1, n, 3))
        first, last = rows_read(model, n)
        assert (field.low[0], field.high[0]) == (tuple(first), tuple(last)), n


@pytest.mark.parametrize("how", MODES, ids=lambda how: "-".join(map(str, how.values())))
@pytest.mark.parametrize(("n", "k"), [(26, 22), (14, 22), (9, 4), (11, 1), (6, 17)])
def test_gradients_reach_that_far(how, n, k):
    model, pixels = Resized(size=k, **how), torch.rand(1, 1, n, n, requires_grad=True)
    field, resized = field_of(model, (1, 1, n, n)), model(pixels)
    for unit in range(k):
        (gradient,) = torch.autograd.grad(resized[0, 0, unit, unit], pixels, retain_graph=True)
        reached = gradient[0, 0].abs().sum(1).nonzero().flatten()
        assert field.window(unit, unit)[0] == (reached[0], reached[-1]), unit


@pytest.mark.parametrize(
    ("rank", "mode"), [(1, "nearest-exact"), (1, "linear"), (3, "nearest-exact"), (3, "trilinear")]
)
def test_lines_and_volumes_are_resized_alike(rank, mode):
    shape = (1, 1, *[9] * rank)
    found = field_of(Resized(size=14, mode=mode), shape)
    flat = field_of(Resized(size=14, mode="bilinear" if "linear" in mode else mode), (1, 1, 9, 9))
    assert found.low == flat.low[:1] * rank and found.high == flat.high[:1] * rank


def test_aligned_to_one_unit_the_first_pixel_is_read():
    field = field_of(Resized(size=1, mode="bilinear", align_corners=True), (1, 1, 9, 9))
    assert field.start == (0.0, 0.0) and field.size == (1, 1)
