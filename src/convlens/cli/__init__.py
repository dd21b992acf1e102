"""The command line: parse, call the workbench, print. Results on stdout, progress on stderr."""

from __future__ import annotations

import time

STARTED = time.monotonic()  # where a --budget's clock begins


def main() -> None:
    from convlens.cli.app import app

    app(prog_name="convlens")
