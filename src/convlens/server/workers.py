"""Threads that answer, and how many requests may be at work at once.

Heavy calls have threads of their own, so that a prediction never waits for an explanation to end.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from convlens.errors import counted
from convlens.server.limits import Limits
from convlens.server.refused import Refused

Gone = asyncio.Future[None] | None  # done when nobody waits for the answer any more

NAME = "convlens server"  # how the names of its threads begin
LIGHT_THREADS, HEAVY_THREADS = 16, 2
ENDS_S = 0.5  # for what is at work when the server ends

_changed = threading.Condition()
_at_work: list[None] = []


@dataclass
class Room:
    """What a request that was let in takes up; `count` adds bytes of its body."""

    workers: Workers
    bytes: int = 0

    def count(self, num_bytes: int) -> None:
        if self.workers.bytes_waiting + num_bytes > self.workers.limits.bytes_waiting:
            raise Refused(503, "the bodies of other requests fill the memory; try again in a second", retry_after=1)
        self.bytes += num_bytes
        self.workers.bytes_waiting += num_bytes


class Workers:
    """All counting is done in the thread of the event loop, and needs no lock. `waiting` is [light, heavy]."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.waiting = [0, 0]
        self.bytes_waiting = 0
        sizes = (LIGHT_THREADS, HEAVY_THREADS)
        self._threads = [ThreadPoolExecutor(size, thread_name_prefix=NAME) for size in sizes]

    @contextmanager
    def room(self, *, heavy: bool, always: bool = False) -> Iterator[Room]:
        """For one request; Refused with 503 where as many as may are at work."""
        most = self.limits.heavy_waiting if heavy else self.limits.waiting
        if self.waiting[heavy] >= most and not always:
            many = counted(most, "request")
            raise Refused(503, f"{many} are being answered already; try again in a second", retry_after=1)
        room = Room(self)
        self.waiting[heavy] += 1
        try:
            yield room
        finally:
            self.waiting[heavy] -= 1
            self.bytes_waiting -= room.bytes

    async def run(self, work: Callable[[], Any], seconds: float, *, heavy: bool = False, gone: Gone = None) -> Any:
        """In a thread; Refused with 503 after that time. The thread then goes on, and is counted until it ends."""
        return await self.wait(self._threads[heavy].submit(_counted, work), seconds, heavy=heavy, gone=gone)

    async def wait(self, future: Future[Any], seconds: float, *, heavy: bool = False, gone: Gone = None) -> Any:
        """What waits for a thread is dropped where the client has `gone`."""
        loop, answer = asyncio.get_running_loop(), asyncio.wrap_future(future)
        try:
            waited = {answer} if gone is None else {answer, gone}
            await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if gone is not None and gone.done():
                raise Refused(408, "the client has gone; ask again")
            words = f"the answer took longer than {seconds:g} seconds; try again, or ask for less"
            raise Refused(503, words, retry_after=5)
        finally:
            if not answer.done():
                if not future.cancel():  # a thread is at it
                    self.waiting[heavy] += 1
                    future.add_done_callback(lambda _: _call_in(loop, lambda: self._leave(heavy)))
                answer.cancel()

    def close(self) -> None:
        for threads in self._threads:
            threads.shutdown(wait=False, cancel_futures=True)

    def _leave(self, heavy: bool) -> None:
        self.waiting[heavy] -= 1


@contextmanager
def computing() -> Iterator[None]:
    """Around whatever cannot be stopped."""
    with _changed:
        _at_work.append(None)
    try:
        yield
    finally:
        with _changed:
            _at_work.pop()
            _changed.notify_all()


def still_computing() -> bool:
    """Whether a thread goes on with what it does, half a second after all servers were closed."""
    with _changed:
        return not _changed.wait_for(lambda: not _at_work, ENDS_S)


def _counted(work: Callable[[], Any]) -> Any:
    with computing():
        return work()


def _call_in(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(work)
    except RuntimeError:
        return  # the loop is closed
