"""What is taken apart keeps its parts, and what runs with no other size stays: dead channels go, no answer changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.graph.pruned import difference, plan_of


def rectified_in_place(x: Tensor) -> Tensor:
    x[:, : x.shape[1] // 2].relu_()
    return x


def weighed_by_group(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return (x.view(n, 2, c // 2, h, w) * torch.tensor([1.0, 3.0], dtype=x.dtype).view(1, 2, 1, 1, 1)).view(n, c, h, w)


def weighed_in_pairs(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return (x.view(n, c // 2, 2, h, w) * torch.tensor([1.0, 3.0], dtype=x.dtype).view(1, 1, 2, 1, 1)).view(n, c, h, w)


def pooled_by_halves(x: Tensor) -> Tensor:
    first, second = x.chunk(2, 1)
    return torch.cat([F.max_pool2d(first, 2), F.avg_pool2d(second, 2)], 1)


# fmt: off
TREATED: dict[str, Callable[[Tensor], Tensor]] = {
    "rectified": lambda x: torch.cat([x[:, : x.shape[1] // 2].relu(), x[:, x.shape[1] // 2 :]], 1),
    "rectified_in_place": rectified_in_place,
    "pooled": pooled_by_halves,
    "rolled": lambda x: torch.cat([part.roll(by, 2) for by, part in enumerate(x.chunk(4, 1))], 1),
    "weighed": weighed_by_group,
    "weighed_in_pairs": weighed_in_pairs,
}
# fmt: on


class Treated(nn.Module):
    """Between two layers, channels go different ways that have no parameters."""

    def __init__(self, treat: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.treat = treat
        self.one, self.two, self.head = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 8, 3), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.two(self.treat(self.one(x))).relu().mean((2, 3)))


@pytest.mark.parametrize("share", [0.75, 0.5, 0.25, 0.001])
@pytest.mark.parametrize("way", TREATED)
def test_a_channel_stays_in_the_part_that_is_treated_as_it_was(way: str, share: float) -> None:
    torch.manual_seed(0)
    far, left = difference(Treated(TREATED[way]), torch.randn(2, 3, 12, 12), share)
    assert far < 1e-10
    assert left < share + 0.25


@pytest.mark.parametrize(
    "treat",
    [
        lambda x: torch.cat([x[:, :8].relu(), x[:, 8:]], 1),
        lambda x: torch.cat([x[:, :8].relu(), x[:, 8:], x[:, 16:]], 1),
        lambda x: torch.cat([x[:, :8].relu()] * 2, 1),
    ],
)
def test_channels_of_slices_by_number_stay_and_the_slice_is_named(treat: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    network = Treated(treat)
    coupling, _ = plan_of(network, (2, 3, 12, 12))
    assert [layer.names for layer in coupling.layers] == [("two.weight",)]
    assert any(kept.op == "slice" for kept in coupling.kept)
    assert difference(network, torch.randn(2, 3, 12, 12))[0] < 1e-10


class Read(nn.Module):
    """The rows of a map, read by a recurrent layer or, one after the other, by a cell."""

    def __init__(self, recurrent: nn.Module) -> None:
        super().__init__()
        self.one, self.two, self.recurrent = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 3), recurrent
        self.three, self.head = nn.Linear(12, 10), nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.two(self.one(x).relu()).relu().mean(2).transpose(1, 2)
        if isinstance(self.recurrent, nn.RNNCellBase):
            state = None
            for row in rows.unbind(1):
                state = self.recurrent(row, state)
            last = state[0] if isinstance(state, tuple) else state
        else:
            last = self.recurrent(rows)[0][:, -1]
        return self.head(self.three(last).relu())


@pytest.mark.parametrize(
    "recurrent",
    [
        lambda: nn.LSTM(16, 12, batch_first=True),
        lambda: nn.GRU(16, 6, batch_first=True, bidirectional=True),
        lambda: nn.RNN(16, 12, 2, batch_first=True),
        lambda: nn.LSTMCell(16, 12),
        lambda: nn.GRUCell(16, 12),
        lambda: nn.RNNCell(16, 12),
    ],
)
def test_what_a_recurrent_layer_reads_and_makes_stays_and_the_layers_beside_it_go(
    recurrent: Callable[[], nn.Module],
) -> None:
    torch.manual_seed(0)
    network = Read(recurrent())
    coupling, plan = plan_of(network, (2, 3, 14, 14))
    assert [layer.names for layer in coupling.layers] == [("one.weight",), ("three.weight",)]
    assert {kept.module for kept in coupling.kept if "recurrent" in kept.reason} == {"recurrent"}
    assert difference(network, torch.randn(2, 3, 14, 14))[0] < 1e-10
    assert len(plan.kept["three.weight"][0]) == 5
