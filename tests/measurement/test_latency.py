"""Latency is ordered, counts its runs, and leaves the model in its mode."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from convlens.errors import UsageError
from convlens.measurement import measure_latency


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.drop, self.calls = nn.Conv2d(3, 4, 3), nn.Dropout(), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.training and torch.is_inference_mode_enabled()
        self.calls += 1
        return self.drop(self.conv(x))


def test_percentiles_are_ordered_and_runs_counted():
    model = Counting()
    model.drop.eval()
    latency = measure_latency(model, (4, 3, 16, 16), num_runs=7, warmup=2)
    assert model.calls == 9 and latency.num_runs == 7 and latency.batch == 4
    assert 0 < latency.p50_ms <= latency.p90_ms <= latency.p99_ms
    assert latency.images_per_second == pytest.approx(4000 / latency.p50_ms)
    assert latency.threads == torch.get_num_threads()
    assert model.training and not model.drop.training
    assert json.loads(json.dumps(latency.to_dict()))["num_runs"] == 7


def test_at_least_one_run_is_needed():
    with pytest.raises(UsageError, match="at least 1"):
        measure_latency(nn.Conv2d(3, 4, 3), (1, 3, 8, 8), num_runs=0)
