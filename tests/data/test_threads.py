"""Work side by side on several threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
import torch

from convlens.data.threads import side_by_side


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_each_work_is_done_once(number: int) -> None:
    seen: list[int] = []
    side_by_side([partial(seen.append, place) for place in range(number)])
    assert sorted(seen) == list(range(number))


def test_works_run_beside_each_other() -> None:
    both = threading.Barrier(2, timeout=10)
    side_by_side([both.wait, both.wait])
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
        side_by_side(works)
    assert ended.is_set()
    assert torch.get_num_threads() == 2


def test_operations_of_torch_run_alone_there_and_as_before_afterwards() -> None:
    seen: list[int] = []
    for _ in range(3):
        side_by_side([lambda: seen.append(torch.get_num_threads())] * 2)
    assert seen == [1] * 6
    assert torch.get_num_threads() == 2
    new = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    new.start()
    new.join()
    assert seen[-1] == 2
