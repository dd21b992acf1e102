"""The server in a process of its own, as users start it: what it prints says where it listens."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Process = subprocess.Popen[bytes]
PATIENCE_S = 60.0


@contextmanager
def serving(*runs: Path, token: str | None = None) -> Iterator[str]:
    """`convlens serve` -> its address, until the block ends."""
    options = ["--token", token] if token else []
    with begun("serve", *map(str, runs), "--port", "0", *options) as (_, address):
        yield address


@contextmanager
def training(folder: Path, *, epochs: int) -> Iterator[tuple[Process, str]]:
    """`convlens train … --serve` -> its process, and the address of its page."""
    options = ("--model", "lenet5", "--precision", "fp32", "--threads", "1", "--epochs", str(epochs))
    with begun("train", "digits", *options, "--out", str(folder), "--serve", "--port", "0") as started:
        yield started


@contextmanager
def begun(*words: str) -> Iterator[tuple[Process, str]]:
    """The process and the address that it prints; what it says goes to a file, since nobody empties a pipe."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([sys.executable, "-m", "convlens", *words], stdout=said, stderr=said)
        try:
            yield process, _address(process, said.fileno())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)


def _address(process: Process, said: int) -> str:
    ends = time.monotonic() + PATIENCE_S
    while True:
        text = Path(f"/proc/self/fd/{said}").read_text()
        if found := re.search(r"http://\S+/", text):
            return found[0]
        assert process.poll() is None and time.monotonic() < ends, text
        time.sleep(0.05)
