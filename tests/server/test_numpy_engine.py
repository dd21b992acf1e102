"""The NumPy engine's numbers, node by node, in place of torch's."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from convlens.arithmetic import record_values, take_apart
from convlens.server.numpy_engine import values_of
from convlens.workbench.scratch import scratch_network
from tests.arithmetic.recomputed import check, floating, picture, units


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = [
        nn.ZeroPad2d(1), nn.Conv2d(2, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 5), nn.Tanh(), nn.Linear(5, 3), nn.Softmax(1),
    ]  # fmt: skip
    return nn.Sequential(*layers).eval()


def test_every_node_has_the_numbers_of_numpy_and_they_are_torch_s_but_for_rounding() -> None:
    model, image = network(), picture(1, 2, 8, 8)
    recording = record_values(model, image)
    values = values_of(scratch_network(model, (1, 2, 8, 8), dtype=np.float64), recording.graph, image.numpy())
    again = recording.with_values(values)
    assert set(values) == set(range(1, len(recording.graph.nodes)))  # all but the padding
    random = np.random.default_rng(0)
    for node in floating(recording):
        assert np.abs(again.value(node) - recording.value(node)).max() < 1e-5
        for position in units(recording, node, 3, random):
            check(again, node, position)
    assert any(take_apart(again, n, (0,) * 3).value != take_apart(recording, n, (0,) * 3).value for n in range(1, 4))
