"""The strip of stages and the table of layers, of every family of the zoo."""

from __future__ import annotations

import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from convlens.layers.fake_quantised import InputScale, fake_quantised
from convlens.measurement import measure_network
from convlens.pictures import Preprocess
from convlens.server.network import network
from convlens.server.shelf import ServedRun
from tests.zoo.conftest import SMALLEST
from tests.zoo.test_contract import settled

QUICK = ("lenet5", "shufflenet_v2_x0_5")


def strip_of(model: nn.Module, channels: int, size: tuple[int, int]) -> tuple[dict[str, Any], Any]:
    prepare = Preprocess(size, channels=channels, mean=(0.5,) * channels, std=(0.5,) * channels)
    run = SimpleNamespace(input_shape=(1, channels, *size), preprocess=prepare, classes=("a",) * 10, temperature=1.0)
    served: Any = SimpleNamespace(name="run", run=run, model=model, kept={}, lock=threading.RLock())
    served.once = partial(ServedRun.once, served)
    return network(SimpleNamespace(served=served)), served.kept["inside"].graph  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in sorted(SMALLEST | set(QUICK))]
)
def test_stages_and_layers_are_all_of_the_network_and_every_layer_has_its_node(name: str) -> None:
    model = settled(name)
    found, graph = strip_of(model, model.architecture.in_channels, model.architecture.image_size)
    measured = measure_network(model, graph)
    *layers, last = found["layers"]
    once = [row for row in layers if not (row["calls"] > 1 and ":" in row["path"])]  # of several runs the last
    assert sorted(row["macs"] for row in once) == sorted(row.macs for row in measured.layers)
    assert len(layers) == sum(max(1, row.calls) for row in measured.layers) and last["path"] == "probabilities"
    assert len({row["path"] for row in found["layers"]}) == len(found["layers"])
    for row in layers:
        assert row["calls"] == 0 or graph.nodes[row["node"]].output_shape[1:] == row["shape"], row["path"]
    stages = found["stages"]
    assert sum(stage["parameters"] for stage in stages) == found["parameters"]
    assert sum(stage["macs"] for stage in stages) == found["macs"]
    assert all(stage["first"] <= stage["last"] for stage in stages)
    assert stages[-1]["path"] == "head" and stages[-1]["shape"] == (10,)
    within = {stage["path"] for stage in stages}
    assert all(row["stage"] in within for row in layers)


def test_a_network_without_stages_is_a_strip_of_its_own_parts_and_one_of_functions_alone_is_one() -> None:
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Identity(), nn.Linear(72, 10))
    found, _ = strip_of(plain, 1, (8, 8))
    assert [stage["path"] for stage in found["stages"]] == ["0", "1", "2", "4"]

    class Functions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.never = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.relu().mean((1, 2)) + 1

    found, _ = strip_of(Functions(), 1, (8, 10))
    assert [(stage["path"], stage["title"]) for stage in found["stages"]] == [("", "Functions")]
    assert [row["path"] for row in found["layers"]] == ["relu", "mean", "add", "probabilities"]


def test_a_module_that_runs_several_times_is_there_once_for_each_run() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3, stride=2)
            self.relu, self.head = nn.ReLU(), nn.Linear(8, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.relu(self.second(self.relu(self.first(x)))).flatten(1))

    found, graph = strip_of(Shared(), 1, (8, 8))
    rows = {row["path"]: row for row in found["layers"]}
    assert [*rows] == ["first", "relu:1", "second", "relu", "head", "probabilities"]
    assert (rows["relu:1"]["shape"], rows["relu"]["shape"]) == ((2, 6, 6), (2, 2, 2))
    assert (rows["relu:1"]["receptive_field"], rows["relu"]["receptive_field"]) == ((3, 3), (5, 5))
    assert (rows["relu:1"]["title"], rows["relu:1"]["calls"], rows["relu"]["calls"]) == ("ReLU", 2, 2)
    assert all(graph.nodes[row["node"]].output_shape[1:] == row["shape"] for row in list(rows.values())[:-1])


def test_a_layer_that_rounds_is_called_what_it_is_in_eight_bits() -> None:
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 10))
    scale = InputScale(step=0.1, zero_point=0)
    found, _ = strip_of(fake_quantised(plain, {"0": scale, "2": scale}), 1, (8, 8))
    titles = [row["title"] for row in found["layers"]]
    assert titles == ["Conv2d 3×3, 8 bits", "Flatten", "Linear, 8 bits", "softmax"]
