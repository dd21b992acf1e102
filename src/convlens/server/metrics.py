"""`GET /metrics`: what was asked and how long it took, in the text format of Prometheus."""

from __future__ import annotations

import sys
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from convlens.server.endpoint import Asked, Doc

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)  # seconds
METRICS_DOC = Doc("Counts and times, in the text format of Prometheus.", media="text/plain")
FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Requests by call and status, and how long those took that were answered. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.started = time.time()
        self.requests: dict[tuple[str, int], int] = defaultdict(int)
        self.buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))
        self.seconds: dict[str, float] = defaultdict(float)

    def count(self, call: str, status: int, seconds: float) -> None:
        with self._lock:
            self.requests[call, status] += 1
            self.buckets[call][bisect_left(BOUNDS, seconds)] += 1
            self.seconds[call] += seconds

    def lines(self) -> Iterable[str]:
        with self._lock:
            requests, buckets = dict(self.requests), {call: list(row) for call, row in self.buckets.items()}
            seconds = dict(self.seconds)
        yield from _head("convlens_requests_total", "counter", "Requests by call and status.")
        for (call, status), number in sorted(requests.items()):
            yield f'convlens_requests_total{{call="{call}",status="{status}"}} {number}'
        yield from _head("convlens_request_seconds", "histogram", "From the request to its answer.")
        for call, row in sorted(buckets.items()):
            below = 0
            for bound, number in zip((*BOUNDS, "+Inf"), row, strict=True):
                below += number
                yield f'convlens_request_seconds_bucket{{call="{call}",le="{bound}"}} {below}'
            yield f'convlens_request_seconds_sum{{call="{call}"}} {seconds[call]:.6f}'
            yield f'convlens_request_seconds_count{{call="{call}"}} {below}'


def metrics(asked: Asked) -> Any:
    from starlette.responses import Response

    shelf = asked.shelf
    lines = list(shelf.metrics.lines())
    light, heavy = shelf.workers.waiting
    gauges: list[tuple[str, str, float]] = [
        ("convlens_requests_waiting", "Requests being answered.", light + heavy),
        ("convlens_body_bytes_waiting", "Bytes of the bodies of these.", shelf.workers.bytes_waiting),
        ("convlens_kept_pictures", "Pictures that are kept.", len(shelf.kept)),
        ("convlens_kept_picture_bytes", "Bytes that these take up at most.", shelf.kept.num_bytes),
        ("process_start_time_seconds", "When the server began.", shelf.metrics.started),
    ]
    if (memory := resident_bytes()) is not None:
        gauges.append(("process_resident_memory_bytes", "Memory of the process.", memory))
    for name, words, value in gauges:
        lines += [*_head(name, "gauge", words), f"{name} {value:.3f}".rstrip("0").rstrip(".")]
    for name, words, of in (
        ("convlens_batches_total", "Batches that a network answered.", "num_batches"),
        ("convlens_batched_pictures_total", "Pictures in these.", "num_pictures"),
    ):
        lines += _head(name, "counter", words)
        lines += [f'{name}{{run="{_quoted(run.name)}"}} {getattr(run.batcher, of)}' for run in shelf.runs.values()]
    return Response("\n".join(lines) + "\n", media_type=FORMAT)


def resident_bytes() -> int | None:
    """Of this process; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    import resource

    return pages * resource.getpagesize() if sys.platform != "win32" else None


def _head(name: str, kind: str, words: str) -> list[str]:
    return [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
