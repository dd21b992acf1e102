"""A verb leaves torch in the caller's process as it found it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import convlens
from convlens.errors import UsageError

Call = Callable[[Any], Any]  # of a lesson
VERBS: dict[str, Call] = {
    "train": lambda lesson: convlens.train(lesson.data, model="perceptron", epochs=1, threads=1, precision="fp32"),
    "shrink": lambda lesson: convlens.shrink(lesson.run, cluster=4),
    "evaluate": lambda lesson: convlens.evaluate(lesson.run, engine="torch"),
    "predict": lambda lesson: convlens.predict(lesson.run, lesson.data / "circle" / "001.png", engine="torch"),
    "measure": lambda _: convlens.measure("perceptron", image_size=28, latency=True, batch=1),
    "compare": lambda _: convlens.compare(["perceptron", "mlp"], latency=True),
    "bench": lambda _: convlens.bench(["lenet5"], batch=2),
}


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
    torch.set_flush_denormal(False)


def _state() -> tuple[int, bool]:
    return torch.get_num_threads(), sys.float_info.min / 2 == 0


@pytest.mark.parametrize(("verb", "flushes"), [*((verb, False) for verb in VERBS), ("train", True)])
def test_threads_and_the_smallest_numbers_are_as_before(verb, flushes, lesson, tmp_path, two_threads, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_flush_denormal(flushes)
    VERBS[verb](lesson)
    assert _state() == (2, flushes)


def test_after_an_error_too(lesson, two_threads):
    torch.set_flush_denormal(False)
    with pytest.raises(UsageError, match="no network is called"):
        convlens.train(lesson.data, model="lenet55")
    assert _state() == (2, False)
