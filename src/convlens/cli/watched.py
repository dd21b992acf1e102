"""What `--serve` adds to a training: a page on which it is watched, and which then shows the run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from convlens.errors import UsageError

Serve = Annotated[bool, typer.Option("--serve", help="Watch it on a page, which shows the run when it has ended.")]
Port = Annotated[int | None, typer.Option("--port", help="Of the page, with --serve; 8000 by default.")]


class Alone:
    """A training that nobody watches."""

    watch: Any = None

    def stay(self, run: Path, network: str | None) -> None:
        pass


class Watched(Alone):
    def __init__(self, page: Any) -> None:
        self._page, self.watch = page, page.watch

    def stay(self, run: Path, network: str | None) -> None:
        """The page shows the run now, until Ctrl-C."""
        self._page.show(run, network)
        _say(f"the run is open at {self._page.url} (Ctrl-C ends it)")
        self._page.wait()


@contextmanager
def watched(serve: bool, port: int | None) -> Iterator[Alone]:
    """UsageError, before anything begins, for a port without --serve and for one that is taken."""
    if not serve:
        if port is not None:
            raise UsageError(f"--port {port} is that of --serve, which did not come; add it")
        yield Alone()
        return
    from convlens.server.serve import PORT
    from convlens.server.training_page import training_page

    with training_page(port=PORT if port is None else port) as page:
        _say(f"watch it at {page.url}")
        yield Watched(page)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
