"""What a verb changes of torch for the whole process, and puts back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def process_kept() -> Iterator[None]:
    """Afterwards torch has as many threads as before, and this thread takes numbers below 1e-38 for what it took them.

    Threads that OpenMP began inside keep what they were begun with.
    """
    threads, flushes = torch.get_num_threads(), sys.float_info.min / 2 == 0
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_flush_denormal(flushes)
