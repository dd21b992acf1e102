"""`convlens train … --serve`: the page beside a training, in its process, from a thread; then of the run it became."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from convlens.engines import PLAIN
from convlens.errors import ConvlensError, Stopped
from convlens.server.limits import Limits
from convlens.server.serve import LOOPBACK, PORT, bound_socket, check, shelf_served
from convlens.training import Watch
from convlens.workbench import open_run

if TYPE_CHECKING:
    from convlens.server.shelf import Shelf

SAVED = ("done", "the run is saved")


class TrainingPage:
    """`watch` is what `train` is given; `show` puts the run that it became on the page, `wait` keeps it open."""

    def __init__(self, url: str, shelf: Shelf, watch: Watch) -> None:
        self.url, self.watch = url, watch
        self._shelf = shelf

    def show(self, run: Path, network: str | None = None) -> None:
        self._shelf.put(open_run(run, network))
        self.watch.say(*SAVED, ended=True)

    def wait(self) -> None:
        """Until Ctrl-C, which is no error here: what there was to save is saved."""
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt as stop:
            if type(stop) is not KeyboardInterrupt:  # what ends the process, as SIGTERM
                raise


@contextmanager
def training_page(*, port: int = PORT) -> Iterator[TrainingPage]:
    """Raises UsageError for a port that is taken, and MissingExtra without the extra `serve`, before anything begins.

    However the block ends, whoever watches is told.
    """
    check(port, None, PLAIN)
    from convlens.server.shelf import Shelf

    with bound_socket(LOOPBACK, port) as listener:
        shelf, watch = Shelf(Limits()), Watch()
        shelf.watch(watch)
        with shelf_served(shelf, listener) as served, _told_at_the_end(watch):
            yield TrainingPage(served.url, shelf, watch)


@contextmanager
def _told_at_the_end(watch: Watch) -> Iterator[None]:
    try:
        yield
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
