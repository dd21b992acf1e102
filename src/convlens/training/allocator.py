"""Let the C library keep large buffers that were freed, where it is glibc.

By default glibc returns every large buffer to the system, and the next step faults its pages in again: in training,
whose buffers are the same at each step, a quarter to two thirds of the time.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of mallopt, from malloc.h
OWN_LARGEST = 32 << 20  # bytes up to which glibc raises the threshold by itself, until it is set (mallopt(3))
LARGEST_KEPT = 1 << 30  # bytes of one buffer
MOST_KEPT = (1 << 31) - 1  # bytes in all that may lie free at the end of the heap; an int


@cache
def _library() -> ctypes.CDLL | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    return ctypes.CDLL(None)


def can_keep_memory() -> bool:
    return _library() is not None


@contextmanager
def kept_memory(wanted: bool = True) -> Iterator[None]:
    """While it lasts, freed buffers stay with the process; at its end they go back to the system."""
    library = _library() if wanted else None
    if library is None:
        yield
        return
    set_threshold: Callable[[int, int], int] = library.mallopt
    set_threshold(MMAP_THRESHOLD, LARGEST_KEPT)
    set_threshold(TRIM_THRESHOLD, MOST_KEPT)
    try:
        yield
    finally:
        set_threshold(MMAP_THRESHOLD, OWN_LARGEST)
        set_threshold(TRIM_THRESHOLD, 2 * OWN_LARGEST)
        library.malloc_trim(0)


def give_back_memory() -> None:
    """What lies free goes back to the system, of all threads."""
    if (library := _library()) is not None:
        library.malloc_trim(0)
