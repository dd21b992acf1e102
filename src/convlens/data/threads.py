"""How many processors this process may keep busy, and threads that do so."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from threading import Lock

import torch

_one_at_a_time = Lock()


def usable_cpus() -> int:
    """Processors granted to this process: OMP_NUM_THREADS, else the affinity mask and the container's quota."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    granted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return granted
    return granted if quota == "max" else max(1, min(granted, math.ceil(int(quota) / int(period))))


def run_together(works: Sequence[Callable[[], object]]) -> None:
    """Each in a thread of its own, the first in this one; what goes wrong is raised when all have ended.

    Each runs torch's operations alone. Else every thread would have a team of its own, and OpenMP, with more threads
    than processors, puts all of them to sleep between two operations, each of which then takes 0.1 ms more, ever after.
    Who comes from another thread meanwhile waits.
    """
    with _one_at_a_time:
        before = torch.get_num_threads()
        jobs: list[Future[object]] = []
        try:
            torch.set_num_threads(1)  # of this thread, and of a new one when it first asks
            for work in works[1:]:
                jobs.append(_helpers(os.getpid()).submit(work))
            works[0]()
        finally:
            try:
                wait(jobs)
            finally:
                torch.set_num_threads(before)
    for job in jobs:
        job.result()


@cache
def _helpers(process: int) -> ThreadPoolExecutor:
    """A pool that stays: to begin a thread takes longer than many a work. A process that was forked has none of it."""
    return ThreadPoolExecutor(max(1, usable_cpus() - 1), "convlens", torch.set_flush_denormal, (True,))
