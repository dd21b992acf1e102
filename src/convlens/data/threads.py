"""How many processors this process may keep busy."""

from __future__ import annotations

import math
import os
from pathlib import Path


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
