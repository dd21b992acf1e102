"""Pictures a second in training."""

from __future__ import annotations

from itertools import count

import pytest
import torch

from convlens.training import Choice, training_throughput
from convlens.training import throughput as throughput_file


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Dropout(), torch.nn.Flatten(), torch.nn.Linear(8, 2))


def test_a_copy_is_trained_in_the_way_that_is_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(throughput_file, "choose", lambda *_: pytest.fail("measured again"))
    given, choice = network(), Choice("fp32", "channels_last", 1)
    before = {name: value.clone() for name, value in given.state_dict().items()}
    images, labels = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 0, 1])
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    found = training_throughput(given, images, labels, rounds=2, choice=choice)
    assert found.choice == choice and 0 < found.slowest <= found.median <= found.fastest
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state) and torch.get_num_threads() == threads


def test_the_first_step_is_not_counted_and_the_others_are(monkeypatch: pytest.MonkeyPatch):
    moments = iter([100.0, 100.1, 100.2, 100.3, 100.4, 102.0])
    monkeypatch.setattr(throughput_file.time, "perf_counter", lambda: next(moments))
    images, labels = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 0, 1])
    found = training_throughput(network(), images, labels, rounds=1, choice=Choice("fp32", "channels_last", 1))
    assert found.median == throughput_file.STEPS * 4 / 2.0


def test_short_steps_are_counted_for_longer(monkeypatch: pytest.MonkeyPatch):
    moments = (0.125 * step for step in count())
    monkeypatch.setattr(throughput_file.time, "perf_counter", lambda: next(moments))
    monkeypatch.setattr(throughput_file, "LEAST_S", 2.0)
    images, labels = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 0, 1])
    found = training_throughput(network(), images, labels, rounds=1, choice=Choice("fp32", "channels_last", 1))
    assert found.median == 16 * 4 / 2.0
