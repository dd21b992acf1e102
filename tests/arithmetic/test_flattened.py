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


class Tokens(nn.Module):
    """A token for each of 4 × 4 patches, and at the end a map again, of columns and rows."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.dense = nn.Conv2d(1, 6, 3, stride=3), nn.LayerNorm(6), nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.dense(self.norm(self.conv(x).flatten(2).transpose(1, 2)))
        return tokens.transpose(1, 2).unflatten(2, (4, 4)).transpose(2, 3)


def test_a_token_sees_what_lies_around_its_own_place():
    recording = record_values(Tokens().eval(), torch.randn(1, 12, 12))
    places = {(1, 16, 6): (6, 3), (16, 6): (6, 3), (16, 5): (6, 3), (1, 16, 5): (6, 3), (1, 6, 16): (3, 6)}
    places |= {(1, 5, 16): (3, 6), (1, 6, 4, 4): (3, 1, 2), (1, 5, 4, 4): (3, 1, 2)}
    for node in recording.graph.nodes:
        turned = node.index == len(recording.graph.nodes) - 1
        place = (3, 2, 1) if turned else places[node.output_shape]
        field = take_apart(recording, node.index, place).receptive_field
        assert (field.top, field.bottom, field.left, field.right, field.exact) == (3, 5, 6, 8, True), node.op


def test_a_normalised_number_of_a_flattened_map_sees_all_that_the_mean_is_of():
    class Normalised(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self[1](self[0](x).flatten(2))

    recording = record_values(Normalised(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4)), torch.randn(1, 9, 9))
    field = take_apart(recording, len(recording.graph.nodes) - 1, (0, 5)).receptive_field
    assert (field.top, field.bottom, field.left, field.right) == (0, 8, 0, 8)


def test_of_joined_branches_a_unit_sees_at_most_what_the_widest_does():
    class Joined(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, nn.functional.avg_pool2d(x, 3, 1, 1)], 1)

    recording = record_values(Joined(), torch.randn(1, 9, 9))
    field = take_apart(recording, len(recording.graph.nodes) - 1, (0, 4, 4)).receptive_field
    assert (field.top, field.bottom, field.exact) == (3, 5, False)  # the first channel sees (4, 4) alone
