"""Checkpoints, and what the machine is."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from convlens.data import Augment, Batches, usable_cpus
from convlens.data import threads as threads_file
from convlens.errors import RunError, UsageError
from convlens.pictures import Preprocess
from convlens.training import Choice, Recipe, Setting, Trial, choose, choose_device, describe_machine
from convlens.training.allocator import can_keep_memory, kept_memory
from convlens.training.checkpoint import read_checkpoint
from convlens.training.precision import FEWEST_PICTURES, Timed

fit_file = sys.modules["convlens.training.fit"]  # `convlens.training.fit` is the function
precision_file = sys.modules["convlens.training.precision"]


def test_a_missing_checkpoint_says_how_to_begin(tmp_path):
    with pytest.raises(RunError, match=r"no checkpoint to go on from.*convlens train"):
        read_checkpoint(tmp_path / "run" / "checkpoints" / "last.safetensors")


def test_a_damaged_checkpoint_is_refused(tmp_path):
    file = tmp_path / "run" / "last.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"\x10\0\0\0\0\0\0\0{not json at all}")
    with pytest.raises(RunError, match="damaged"):
        read_checkpoint(file)


@pytest.mark.parametrize("facts", ["{}", "[]", '{"format": "new"}'])
def test_a_checkpoint_without_its_format_is_damaged(tmp_path, facts):
    file = tmp_path / "run" / "last.safetensors"
    file.parent.mkdir()
    save_file({"a": torch.zeros(1)}, file, metadata={"convlens": facts})
    with pytest.raises(RunError, match="damaged"):
        read_checkpoint(file)


def test_a_checkpoint_of_the_future_is_refused(tmp_path):
    file = tmp_path / "run" / "last.safetensors"
    file.parent.mkdir()
    save_file({"a": torch.zeros(1)}, file, metadata={"convlens": json.dumps({"format": 99})})
    with pytest.raises(RunError, match="newer convlens"):
        read_checkpoint(file)


def test_a_container_quota_limits_the_threads(monkeypatch, tmp_path):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    quota = tmp_path / "cpu.max"
    quota.write_text("150000 100000\n")
    monkeypatch.setattr(threads_file, "Path", lambda _: quota)
    monkeypatch.setattr(threads_file.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert usable_cpus() == 2
    quota.write_text("max 100000\n")
    assert usable_cpus() == 64
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert usable_cpus() == 3


def test_a_device_that_is_not_there_is_refused():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(UsageError, match="--device auto"):
        choose_device("cuda:7" if not torch.cuda.is_available() else "cuda:99")
    with pytest.raises(UsageError):
        choose_device("toaster")
    with pytest.raises(UsageError, match="--device meta cannot be used here"):
        choose_device("meta")


def test_the_machine_is_described_without_secrets():
    assert set(describe_machine()) == {"system", "processor", "cpus", "flags", "accelerator"}


def test_probing_leaves_network_generator_and_threads_alone():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Dropout(), torch.nn.Flatten()
    )
    before = {k: v.clone() for k, v in network.state_dict().items()}
    images, labels = torch.rand(4, 1, 4, 4), torch.zeros(4, dtype=torch.int64)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    choice, measured = choose(Recipe(), Trial(network, images, labels))
    assert isinstance(choice, Choice) and len(measured) >= 2
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
    assert torch.equal(torch.random.get_rng_state(), state) and torch.get_num_threads() == threads


def test_a_precision_asked_for_is_taken_and_nothing_is_measured():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten())
    for precision in ("fp32", "bf16"):
        recipe = Recipe(precision=precision, threads=1)
        images, labels = torch.rand(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64)
        chosen, measured = choose(recipe, Trial(network, images, labels))
        assert chosen == Choice(precision, "channels_last", 1, chosen.allocator) and measured == ()


class Viewed(torch.nn.Module):
    """Its map is viewed as rows, which one that lies channels last cannot be."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Conv2d(2, 2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.maps(images)
        return maps.view(len(maps), -1)


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_a_layout_that_a_network_cannot_run_in_is_not_chosen(precision: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(precision_file, "has_fast_bf16", lambda: True)
    trial = Trial(Viewed(), torch.rand(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64))
    choice, measured = choose(Recipe(precision=precision, threads=1), trial)
    assert {choice.layout, *(one["layout"] for one in measured)} == {"channels_first"}
    ways = [(one["precision"], one["allocator"]) for one in measured]
    assert len(ways) == len(set(ways)) and {way[0] for way in ways} == ({"fp32", "bf16"} if ways else set())


FREED = """
import resource
import subprocess
from pathlib import Path
import torch
from convlens.training.allocator import kept_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

size = 256 << 20
before = resident()
with kept_memory(False):
    torch.ones(size, dtype=torch.uint8)
    assert resident() < before + size // 2, "kept, though nobody asked"
with kept_memory():
    torch.ones(size, dtype=torch.uint8)
    assert resident() > before + size // 2, "not kept"
assert resident() < before + size // 2, "kept for ever"
"""


@pytest.mark.skipif(not can_keep_memory(), reason="the C library is not glibc")
def test_buffers_that_are_freed_stay_with_the_process_while_that_is_asked_for_and_go_at_the_end():
    """In a process of its own: in the heap of a long one glibc may find room that earlier tests left."""
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not can_keep_memory(), reason="the C library is not glibc")
def test_afterwards_glibc_still_keeps_what_it_keeps_by_itself():
    def faults() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    size = 4 << 20
    with kept_memory():
        torch.ones(size, dtype=torch.uint8)
    torch.ones(size, dtype=torch.uint8)
    before = faults()
    for _ in range(20):
        torch.ones(size, dtype=torch.uint8)
    assert faults() - before < 20 * size // resource.getpagesize() // 4


def test_a_first_step_that_compiles_kernels_is_no_slow_step(monkeypatch: pytest.MonkeyPatch):
    taken = iter([0.5, 0.001])
    monkeypatch.setattr(fit_file, "check_step", lambda *_: next(taken))
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    pixels, labels = torch.zeros(64, 1, 4, 4, dtype=torch.uint8), torch.arange(64) % 2
    seen = Preprocess((4, 4), channels=1, mean=(0.5,), std=(0.5,))
    plan = fit_file.make_plan(
        network,
        lambda batch: Batches(pixels, labels, seen, Augment(), batch=batch, seed=0),
        Recipe(batch=64, epochs=1),
        Setting(2, seconds=0.5),
    )
    assert {one["pictures"] for one in plan.measured} == {64}


def test_the_allocator_is_timed_and_recorded_like_any_other_choice():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(8, 2))
    _, measured = choose(Recipe(), Trial(network, torch.rand(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64)))
    assert {one["allocator"] for one in measured} == ({"system", "kept"} if can_keep_memory() else {"system"})


@pytest.mark.skipif(not can_keep_memory(), reason="the C library is not glibc")
@pytest.mark.parametrize(("kept_ms", "wanted"), [(9.0, "kept"), (10.5, "kept"), (12.0, "system")])
def test_memory_is_kept_unless_that_is_clearly_slower(kept_ms: float, wanted: str, monkeypatch: pytest.MonkeyPatch):
    def time(self: Trial, choice: Choice) -> Timed:
        step_ms = kept_ms if choice.allocator == "kept" else 10.0 if choice.layout == "channels_last" else 20.0
        return Timed(choice, step_ms if choice.threads > 1 else 2 * step_ms, len(self.images))

    monkeypatch.setattr(Trial, "time", time)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(8, 2))
    trial = Trial(network, torch.rand(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64))
    choice, _ = choose(Recipe(), trial)
    assert (choice.allocator, choice.layout) == (wanted, "channels_last")


def test_a_short_training_is_not_kept_waiting_by_its_measuring():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(8, 2))
    calls = []
    network.register_forward_hook(lambda *_: calls.append(1))
    images, labels = torch.rand(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64)
    choose(Recipe(), Trial(network, images, labels, steps=1))
    few = len(calls)
    calls.clear()
    choose(Recipe(), Trial(network, images, labels, steps=100_000))
    assert 3 * few < len(calls)


def test_a_slow_step_is_timed_on_fewer_pictures_so_that_every_way_is_timed():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(8, 2))
    trial = Trial(network, torch.rand(64, 1, 4, 4), torch.arange(64) % 2, seconds=6.0)
    assert len(trial.shortened(0.1).images) == 64
    assert len(trial.shortened(1.6).images) == len(trial.shortened(1.6).labels) == 16
    assert len(trial.shortened(100.0).images) == FEWEST_PICTURES
    _, measured = choose(Recipe(), trial.shortened(1.6))
    assert {one["pictures"] for one in measured} == {16}


@pytest.mark.skipif(not can_keep_memory(), reason="the C library is not glibc")
def test_memory_is_kept_where_no_time_is_left_to_time_that():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(8, 2))
    images, labels = torch.rand(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64)
    choice, measured = choose(Recipe(), Trial(network, images, labels, seconds=0.0))
    assert (choice.precision, choice.layout, choice.allocator) == ("fp32", "channels_first", "kept")
    assert len(measured) == 1
