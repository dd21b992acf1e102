"""What lives as long as the server: its runs, opened, and the pictures that were sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from weakref import WeakSet

from torch import nn

from convlens.engines import PLAIN
from convlens.errors import nearest
from convlens.pictures import decode
from convlens.runs import Run
from convlens.server.batching import Batcher
from convlens.server.kept import KeptPicture, KeptPictures
from convlens.server.limits import Limits
from convlens.server.metrics import Metrics
from convlens.server.recordings import Recordings
from convlens.server.refused import Refused
from convlens.server.samples import Sample, samples_of
from convlens.server.workers import Workers
from convlens.training import Watch
from convlens.workbench.explain import class_number
from convlens.workbench.results import Tell, silent
from convlens.workbench.running import Running, running


class ServedRun:
    """A run that is open. `lock` is for whatever runs its `model` but predictions: one at a time.

    `kept` is for what an endpoint computed of the run and wants again: a dict of its own by name, under its own lock.
    """

    def __init__(self, name: str, run: Run, ran: Running, limits: Limits) -> None:
        self.name, self.run, self.words = name, run, ran.words
        self.lock = threading.RLock()
        self.kept: dict[str, Any] = {}
        self.batcher = Batcher(name, ran, run.preprocess, limits.pictures_waiting)

    @property
    def model(self) -> nn.Module:
        """In eval mode, float32; never to be changed."""
        return self.run.model

    def thumbnail_address(self, file: str) -> str:
        """Where the server gives the run's thumbnail of that name."""
        return f"/v1/thumbnails/{quote(file, safe='')}?run={quote(self.name, safe='')}"

    def class_number(self, asked: str | int | None) -> int | None:
        """As `convlens explain --target`; None for none, which a query or a form can only write as null or nothing."""
        is_none = asked in (None, "", "null") and asked not in self.run.classes
        return None if is_none else class_number(self.run, asked)

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        return samples_of(self.run)

    def once(self, name: str, find: Callable[[], Any]) -> Any:
        """What is `kept` under that name, found now where it is not; for what is known nobody waits."""
        found = self.kept.get(name)
        if found is None:
            with self.lock:
                found = self.kept.get(name)
                if found is None:
                    found = self.kept[name] = find()
        return found

    def forget_pictures(self) -> None:
        """Where the run has others than before: they are looked for anew."""
        self.__dict__.pop("samples", None)
        with self.lock:
            self.kept.pop("exciting", None)


class Shelf:
    """The runs by name, the first one the default; `kept` pictures; the `training` that is being watched, if any."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.kept, self.recordings = KeptPictures(limits), Recordings(most=limits.kept_pictures)
        self.runs: dict[str, ServedRun] = {}
        self.training: Watch | None = None
        self.streams: WeakSet[Any] = WeakSet()  # of events, to whoever watches it
        self.closing = False  # streams and evaluations end then
        self.starting = threading.Lock()  # of an evaluation: one at a time
        self.workers, self.metrics = Workers(limits), Metrics()
        self._open = ExitStack()

    def put(self, run: Run, engine: str = PLAIN, *, tell: Tell = silent) -> ServedRun:
        """Open a run; raises RunError, or UsageError for an engine that is not there."""
        name = self._free_name(run)
        run.model  # noqa: B018  read now, so that a damaged run is told before the server listens
        reads = [partial(_read, sample.file) for sample in samples_of(run)] if engine == "auto" else []
        ran = self._open.enter_context(running(run, engine, reads, tell=tell))
        served = ServedRun(name, run, ran, self.limits)
        self._open.callback(served.batcher.close)
        self.runs = {**self.runs, name: served}  # others may be going through the old one
        return served

    @property
    def names(self) -> tuple[str, ...]:
        """Of the runs, or of the training that will be one."""
        return tuple(self.runs) or (() if self.training is None else (self.training.name,))

    def end_streams(self) -> None:
        self.closing = True

    def watch(self, training: Watch) -> None:
        self.training = training
        self._open.callback(training.close)

    def served(self, name: str | None = None) -> ServedRun:
        """Refused with 404 for a name that no run has."""
        if name is None and self.runs:
            return next(iter(self.runs.values()))
        if name in self.runs:
            return self.runs[name]
        if not self.runs:
            raise Refused(404, "no run is served yet; wait until the training has ended")
        raise Refused(404, f"no run is called {name!r:.60}{nearest(str(name), self.runs)}; {_list(self.runs)} served")

    def picture(self, name: str) -> KeptPicture:
        """A picture that was sent, or a sample, by its id; Refused with 410 where it is not kept."""
        if (found := self.kept.find(name)) is not None:
            return found
        for served in self.runs.values():
            for sample in served.samples:
                if sample.id == name and sample.file.is_file():
                    return self.kept.add(sample.file.read_bytes(), served)
        return self.kept.get(name)

    def close(self) -> None:
        """It may be called twice."""
        self.closing = True
        self.workers.close()
        self._open.close()

    def _free_name(self, run: Run) -> str:
        name = run.path.resolve().name or "run"
        return next(one for one in _numbered(name) if one not in self.runs)


def open_shelf(runs: Sequence[Run], limits: Limits, *, engine: str = PLAIN, tell: Tell = silent) -> Shelf:
    """All of them, or none and the error of the first that cannot be opened."""
    shelf = Shelf(limits)
    try:
        for run in runs:
            shelf.put(run, engine, tell=tell)
    except BaseException:
        shelf.close()
        raise
    return shelf


def _read(file: Path, side: int) -> Any:
    return decode(file, short_side=side)


def _numbered(name: str) -> Iterable[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def _list(names: Iterable[str]) -> str:
    listed = list(names)
    return f"{', '.join(listed[:10])} {'is' if len(listed) == 1 else 'are'}"
