"""`convlens train … --serve`: the page beside a training, in its process, from a thread; then of the run it became."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from convlens.errors import ConvlensError, Stopped
from convlens.server.extra import need_extra
from convlens.server.limits import Limits
from convlens.server.serve import PORT, behind, bound_socket, in_thread
from convlens.training import Watch
from convlens.workbench import open_run

HOST = "127.0.0.1"
SAVED = ("done", "the run is saved")


class TrainingPage:
    """`watch` is what `train` is given; `show` puts the run that it became beside it, `wait` keeps the page open."""

    def __init__(self, url: str, watch: Watch, shelf: Any, thread: threading.Thread) -> None:
        self.url, self.watch = url, watch
        self._shelf, self._thread = shelf, thread

    def show(self, run: Path, network: str | None = None) -> None:
        self._shelf.put(open_run(run, network))
        self.watch.say(*SAVED, ended=True)

    def wait(self) -> None:
        """Until Ctrl-C, which is no error here."""
        try:
            while self._thread.is_alive():
                self._thread.join(0.5)
        except KeyboardInterrupt:
            return


@contextmanager
def training_page(*, port: int = PORT) -> Iterator[TrainingPage]:
    """Raises UsageError for a port that is taken, and MissingExtra without the extra `serve`, before anything begins.

    However the block ends, whoever watches is told.
    """
    need_extra()
    from convlens.server.shelf import Shelf

    listener, shelf, watch = bound_socket(HOST, port), Shelf(Limits()), Watch()
    shelf.watch(watch)
    server, result = behind(shelf, listener, HOST, None)
    with in_thread(server, listener) as thread:
        try:
            yield TrainingPage(result.url, watch, shelf, thread)
        except Stopped as stopped:
            watch.say("stopped", str(stopped), ended=True)
            raise
        except BaseException as error:
            words = str(error) if isinstance(error, ConvlensError) else f"{type(error).__name__}: {error}"
            watch.say("failed", words, ended=True)
            raise
        finally:
            if not watch.ended:
                watch.say(*SAVED, ended=True)
