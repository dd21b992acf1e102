"""Threads that answer, and how many requests may be at work at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from convlens.data import usable_cpus
from convlens.errors import counted
from convlens.server.limits import Limits
from convlens.server.refused import Refused


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
    """All counting is done in the thread of the event loop, and needs no lock."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.waiting = self.bytes_waiting = 0
        self._threads = ThreadPoolExecutor(usable_cpus() + 2, thread_name_prefix="answer")

    @contextmanager
    def room(self) -> Iterator[Room]:
        """For one request; Refused with 503 where as many as may are at work."""
        if self.waiting >= self.limits.waiting:
            many = counted(self.waiting, "request")
            raise Refused(503, f"{many} are being answered already; try again in a second", retry_after=1)
        room = Room(self)
        self.waiting += 1
        try:
            yield room
        finally:
            self.waiting -= 1
            self.bytes_waiting -= room.bytes

    async def run(self, work: Callable[[], Any], seconds: float) -> Any:
        """In a thread; Refused with 503 after that time. The thread then goes on, and is counted until it ends."""
        return await self.wait(self._threads.submit(work), seconds)

    async def wait(self, future: Future[Any], seconds: float) -> Any:
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), seconds)
        except TimeoutError as error:
            if not future.cancel():
                self.waiting += 1
                future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._left))
            raise Refused(
                503, f"the answer took longer than {seconds:g} seconds; try again, or ask for less", retry_after=5
            ) from error

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _left(self) -> None:
        self.waiting -= 1
