"""The command line: parse, call the workbench, print. Results on stdout, progress on stderr."""

from __future__ import annotations

import sys
import time

STARTED = time.monotonic()  # where a --budget's clock begins


def main() -> None:
    from convlens.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal cannot show is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="convlens")
