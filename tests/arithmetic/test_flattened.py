"""What a number of a flattened map sees of the picture."""

from __future__ import annotations

import torch
from torch import nn

from convlens.arithmetic import record_values, take_apart


def test_a_number_of_a_flattened_map_sees_what_it_saw_in_the_map():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.ReLU(), nn.Linear(2 * 6 * 6, 3))
    recording = record_values(network, torch.randn(1, 8, 8))
    convolution, relu = (node.index for node in recording.graph.nodes if node.op in ("convolution", "relu"))
    in_the_map = take_apart(recording, convolution, (1, 4, 2)).receptive_field
    assert take_apart(recording, relu, (1 * 36 + 4 * 6 + 2,)).receptive_field == in_the_map
    assert (in_the_map.top, in_the_map.bottom, in_the_map.left, in_the_map.right) == (4, 6, 2, 4)
