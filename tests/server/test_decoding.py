"""Large pictures are decoded one after another, and no other call waits for them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest

from convlens.errors import PictureError
from convlens.server.decoding import LARGE, MOST_LARGE, decoded
from convlens.server.refused import Refused

HUGE = (LARGE, 2)


def test_large_pictures_take_turns_and_too_many_are_told_to_come_back():
    at_work, most, go, lock = 0, 0, threading.Event(), threading.Lock()

    def work() -> str:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        assert go.wait(20)
        with lock:
            at_work -= 1
        return "read"

    with ThreadPoolExecutor(MOST_LARGE + 1) as threads:
        asked = [threads.submit(decoded, HUGE, work) for _ in range(MOST_LARGE + 1)]
        refused = next(one for one in as_completed(asked, timeout=20))  # the others are held up
        assert isinstance(refused.exception(), Refused)
        assert decoded((8, 8), lambda: "small") == "small", "a small one does not wait"
        go.set()
        assert [one.result(20) for one in asked if one is not refused] == ["read"] * MOST_LARGE
    assert most == 1


def test_an_error_reaches_who_asked_and_frees_the_place():
    def broken() -> None:
        raise PictureError("<bytes>", "truncated")

    for _ in range(2 * MOST_LARGE):
        with pytest.raises(PictureError, match="truncated"):
            decoded(HUGE, broken)
