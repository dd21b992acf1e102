"""Pictures are decoded a few at a time, and large ones one after another in a thread of their own.

A picture of the most pixels that are taken fills half a gigabyte while it is decoded, and glibc keeps what a thread
freed for that thread: after six of them at once a process of 0.3 GiB stayed at 1.0 GiB, and at 0.3 GiB in this way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from convlens.data import usable_cpus
from convlens.server.refused import Refused
from convlens.server.workers import NAME
from convlens.training.allocator import give_back_memory

LARGE = 1 << 24  # pixels; photographs of phones have fewer
GIVEN_BACK = 1 << 22  # pixels, above which the memory goes back to the system at once
MOST_LARGE = 4  # that wait, or are decoded

Found = TypeVar("Found")

_few = threading.BoundedSemaphore(usable_cpus() + 2)
_places = threading.BoundedSemaphore(MOST_LARGE)
_alone = ThreadPoolExecutor(1, thread_name_prefix=f"{NAME}: large pictures")


def decoded(size: tuple[int, int], work: Callable[[], Found]) -> Found:
    """`work()` on a picture that claims this size; Refused with 503 where too many large ones wait."""
    num_pixels = size[0] * size[1]
    try:
        if num_pixels <= LARGE:
            with _few:
                return work()
        if not _places.acquire(blocking=False):
            raise Refused(503, f"{MOST_LARGE} large pictures are being read already; try again", retry_after=2)
        try:
            return _alone.submit(work).result()
        finally:
            _places.release()
    finally:
        if num_pixels > GIVEN_BACK:
            give_back_memory()
