"""What does it cost a training to be watched?

    python benchmarks/watching.py [--rounds 5] [--epochs 30]

LeNet-5 on digits, on one thread, in turn: alone; with the page that nobody has opened; with a page that listens, in a
process of its own. Printed are how long the training itself is kept by looking, a step, and the milliseconds a step
from the first step to the last, validation and history included, by the clock and of the processor: median of the
rounds, smallest and largest. On a busy machine only the processor's hold. All trainings must end in the same weights.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import convlens
from convlens.server.training_page import training_page
from convlens.storage import sha256_file
from convlens.training import Watch

WAYS = ("alone", "a page, closed", "a page, open")
LISTEN = "import sys, urllib.request as u\nfor line in u.urlopen(sys.argv[1]): print(line[:20], flush=True)"


class Clock:
    """A progress that times the steps from the first to the last."""

    def __init__(self) -> None:
        self.first = self.last = (0.0, 0.0)
        self.steps = 0

    def __call__(self, stage: str, done: int, *_: object) -> None:
        if stage == "train":
            self.last = (time.perf_counter(), time.process_time())
            self.first = self.last if done == 1 else self.first
            self.steps = done

    @property
    def step_ms(self) -> tuple[float, ...]:
        return tuple(1000 * (b - a) / (self.steps - 1) for a, b in zip(self.first, self.last, strict=True))


def listening(held: ExitStack, url: str) -> None:
    """A process that reads the events, from when it has the first."""
    command = [sys.executable, "-c", LISTEN, f"{url}v1/training/events"]
    child = held.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
    assert child.stdout is not None
    child.stdout.readline()
    held.callback(child.terminate)


def timed(watch: Watch) -> list[float]:
    """Seconds of each look, as they come."""
    seconds, look = [], watch.look

    def timed_look(training: Any) -> None:
        began = time.thread_time()
        look(training)
        seconds.append(time.thread_time() - began)

    watch.look = timed_look  # type: ignore[method-assign]
    return seconds


def trained(way: str, epochs: int, folder: Path, looks: list[list[float]]) -> tuple[tuple[float, ...], str]:
    """-> ((milliseconds a step, those of the processor), digest of the weights)."""
    clock, held = Clock(), ExitStack()
    with held:
        watch = None
        if way != "alone":
            page = held.enter_context(training_page(port=0))
            watch = page.watch
            looks.extend([timed(watch)])
        options = {"model": "lenet5", "epochs": epochs, "precision": "fp32", "threads": 1, "out": folder}
        if way == "a page, open":
            listening(held, page.url)
        result = convlens.train("digits", progress=clock, watch=watch, **options)
    return clock.step_ms, sha256_file(result.run / "weights.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    asked = parser.parse_args()
    times: dict[str, list[tuple[float, ...]]] = {way: [] for way in WAYS}
    digests, looks = set(), list[list[float]]()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.rounds):
            for place in range(len(WAYS)):
                way = WAYS[(place + number) % len(WAYS)]
                step_ms, digest = trained(way, asked.epochs, Path(folder) / f"{number}-{place}", looks)
                times[way].append(step_ms)
                digests.add(digest)
    assert len(digests) == 1, "to be watched changes nothing"
    looking = [1e6 * statistics.mean(seconds) for seconds in looks]
    print(f"looking: {statistics.median(looking):.1f} µs a step ({min(looking):.1f} to {max(looking):.1f})")
    for way, found in times.items():
        told = [f"{statistics.median(of):6.3f} ({min(of):.3f} to {max(of):.3f})" for of in zip(*found, strict=True)]
        print(f"{way:15} {told[0]} ms a step, {told[1]} of the processor")


if __name__ == "__main__":
    main()
