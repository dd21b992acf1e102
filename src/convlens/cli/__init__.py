"""The command line: parse, call the workbench, print. Results on stdout, progress on stderr."""

from __future__ import annotations

import os
import sys
import time

STARTED = time.monotonic()  # where a --budget's clock begins
SHORT_SPINS = "1000"  # rounds in which an idle thread of OpenMP looks for work before it sleeps; GNU's own are 300,000


def let_threads_sleep() -> None:
    """Before OpenMP is loaded: on a busy machine idle threads that spin take the time of those that compute.

    Trainings beside other jobs were two to four times as fast for it (docs/speed-notes.md). What the user set stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SHORT_SPINS)


def main() -> None:
    let_threads_sleep()
    from convlens.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal cannot show is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="convlens")
