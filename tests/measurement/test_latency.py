"""Latency is ordered, counts its runs, leaves the model in its mode, and says what its noise is."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from convlens.errors import UsageError
from convlens.measurement import measure_latency, time_calls, time_in_turn, told_apart
from convlens.measurement.latency import noise_of


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
    assert latency.ms_per_image == pytest.approx(latency.p50_ms / 4)
    assert latency.threads == torch.get_num_threads()
    assert model.training and not model.drop.training
    assert json.loads(json.dumps(latency.to_dict()))["num_runs"] == 7


def test_no_more_runs_begin_when_the_time_is_over_but_ten_there_are():
    calls = []
    assert time_calls(lambda: calls.append(1), num_runs=50, warmup=3, seconds=0).num_runs == 10
    assert len(calls) == 11  # one to warm up
    assert time_calls(lambda: None, num_runs=50, seconds=60).num_runs == 50


def test_at_least_one_run_is_needed():
    with pytest.raises(UsageError, match="at least 1"):
        measure_latency(nn.Conv2d(3, 4, 3), (1, 3, 8, 8), num_runs=0)


def test_calls_take_turns():
    order: list[str] = []
    one, two = time_in_turn([lambda: order.append("a"), lambda: order.append("b")], seconds=0.0)
    assert one.num_runs == two.num_runs == 10
    assert "".join(order) == "aabb" + 5 * "aaabbb"


def test_noise_is_the_spread_of_five_parts_of_the_runs():
    assert noise_of([1.0] * 50) == 0.0
    assert noise_of([1.0] * 40 + [1.2] * 10) == pytest.approx(0.2)
    assert noise_of([1.0, 9.0]) == 0.0  # too few to say


def test_figures_within_the_noise_cannot_be_told_apart():
    one = replace(time_calls(lambda: None, num_runs=10), p50_ms=100.0, noise=0.0, batch=1)
    assert not told_apart(one, replace(one, p50_ms=102.9))  # 3 % at least
    assert told_apart(one, replace(one, p50_ms=103.1))
    noisy = replace(one, p50_ms=110.0, noise=0.11)
    assert not told_apart(one, noisy) and not told_apart(noisy, one)
    assert told_apart(one, replace(noisy, p50_ms=112.0))
    assert not told_apart(one, replace(one, p50_ms=800.0, batch=8))  # as much for a picture


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the highest resident size is Linux's")
def test_the_memory_that_a_pass_takes_is_counted():
    big = 64 << 20
    latency = time_calls(lambda: np.ones(big, np.uint8).sum(), num_runs=3, warmup=1)
    if latency.peak_memory_bytes is None:
        pytest.skip("this system does not let a process watch its highest resident size")
    assert 0.9 * big < latency.peak_memory_bytes < 3 * big
    small = time_calls(lambda: time.sleep(0), num_runs=3, warmup=1)
    assert small.peak_memory_bytes < big / 4
