"""Works run together on several threads."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
import torch

from convlens.data import threads
from convlens.data.threads import run_together


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_each_work_is_done_once(number: int) -> None:
    seen: list[int] = []
    run_together([partial(seen.append, place) for place in range(number)])
    assert sorted(seen) == list(range(number))


def test_works_run_beside_each_other() -> None:
    both = threading.Barrier(2, timeout=10)
    run_together([both.wait, both.wait])
    assert not both.broken


@pytest.mark.parametrize("bad", [0, 1], ids=["this thread", "another thread"])
def test_what_goes_wrong_is_raised_when_all_have_ended(bad: int) -> None:
    ended = threading.Event()

    def fail() -> None:
        raise ValueError("a bad piece")

    def last() -> None:
        time.sleep(0.05)
        ended.set()

    works: list[Callable[[], None]] = [last, last]
    works[bad] = fail
    with pytest.raises(ValueError, match="a bad piece"):
        run_together(works)
    assert ended.is_set()
    assert torch.get_num_threads() == 2


def test_operations_of_torch_run_alone_there_and_as_before_afterwards() -> None:
    seen: list[int] = []
    for _ in range(3):
        run_together([lambda: seen.append(torch.get_num_threads())] * 2)
    assert seen == [1] * 6
    assert torch.get_num_threads() == 2
    new = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    new.start()
    new.join()
    assert seen[-1] == 2


def test_threads_that_cannot_begin_leave_the_number_of_threads_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(process: int) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_helpers", refuse)
    with pytest.raises(RuntimeError, match="can't start"):
        run_together([list, list])
    assert torch.get_num_threads() == 2


def test_who_comes_from_two_threads_at_once_leaves_the_number_of_threads_as_it_was() -> None:
    works = [lambda: time.sleep(0.01)] * 2
    both = [threading.Thread(target=lambda: [run_together(works) for _ in range(5)]) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    seen: list[int] = []
    new = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    new.start()
    new.join()
    assert seen == [2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_process_that_was_forked_has_threads_of_its_own() -> None:
    run_together([list, list])
    child = os.fork()
    if child == 0:
        run_together([list, list])
        os._exit(7)
    until = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < until:
        time.sleep(0.02)
    if ended == (0, 0):
        os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(ended[1]) == 7
