"""The stack that signals are handled on, as it was.

OpenVINO gives the thread that compiles a network a signal stack of its own, and puts the former one back when that
network goes. Of two networks that go in the order in which they came, the second puts back what the first has freed:
the next Ctrl-C then ends the process with a segmentation fault.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """`stack_t` of Linux, see sigaltstack(2)."""

    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """This thread has the same one after the block as before."""
    before = signal_stack()
    try:
        yield
    finally:
        if before is not None:
            ctypes.CDLL(None).sigaltstack(ctypes.byref(before), None)


def signal_stack() -> _Stack | None:
    """None where there is no such thing."""
    if sys.platform != "linux":
        return None
    found = _Stack()
    return found if ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found)) == 0 else None
