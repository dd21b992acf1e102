"""A training in another process, watched by the files that it writes: history, last checkpoint, and in the end the run.

The history grows with every epoch; a checkpoint is written at the end of an epoch, or once a minute, so the filters of
the first layer are as old as that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from convlens.errors import ConvlensError, UsageError
from convlens.runs import RunFolder, read_history
from convlens.storage import FolderLock
from convlens.training import Plan, Reached, Watch, as_filters, look_into_checkpoint
from convlens.workbench import open_run

if TYPE_CHECKING:
    from convlens.server.shelf import Shelf

LOOK_S = 0.5


def is_unfinished(path: str | Path) -> bool:
    """A folder in which a training is under way, or was interrupted."""
    folder = RunFolder(Path(path))
    return folder.last.is_file() and not folder.manifest.exists()


def follow(shelf: Shelf, paths: Sequence[str | Path], network: str | None = None) -> None:
    """Watch the training in that folder, and serve its run from when it is whole. UsageError for more than one."""
    if len(paths) > 1:
        raise UsageError(f"{paths[0]} and {paths[1]} are trainings that have not ended; one can be watched, give one")
    for path in paths:
        shelf.watch(Following(path, lambda path: shelf.put(open_run(path, network))))


class Following(Watch):
    """Looks twice a second, in a thread of its own, until the run is whole; then `whole(path)` is called, once."""

    can_stop = False

    def __init__(self, path: str | Path, whole: Callable[[Path], Any]) -> None:
        super().__init__()
        self.folder, self._whole = RunFolder(Path(path)), whole
        self.name = self.folder.path.resolve().name
        self._seen: tuple[Any, ...] = ()
        self._facts: dict[str, Any] = {}
        self._closed = threading.Event()
        self.refresh()
        self._thread = threading.Thread(target=self._follow, name=f"follow {self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        where = self.folder.path
        raise UsageError(f"the training in {where} belongs to another process; press Ctrl-C there, and it is saved")

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def refresh(self) -> None:
        """Read what has changed; nothing else costs more than two looks at a folder."""
        held = FolderLock(self.folder.path).is_held()
        seen = (held, *(_changed_at(path) for path in (self.folder.history, self.folder.last)))
        if seen == self._seen:
            return
        checkpoint_is_new = seen[2] != (self._seen or (0, 0, 0))[2]
        self._seen = seen
        if checkpoint_is_new:
            self._read_checkpoint()
        self.rows = read_history(self.folder.history)
        self.reached = self._reached_by_files(held)
        self.points = []
        again = f"convlens train --resume {quote(str(self.folder.path))}"
        words = "" if held else f"it was interrupted; go on with `{again}`"
        self.say("train" if held else "interrupted", words)

    def _read_checkpoint(self) -> None:
        weight, self._facts = look_into_checkpoint(self.folder.last)
        if weight is not None:
            described = self._facts["task"]["preprocess"]
            self.filters = as_filters(weight, (int(described["channels"]), *described["size"]))
            self.filters_version += 1

    def _reached_by_files(self, running: bool) -> Reached:
        tally, plan = self._facts["tally"], Plan.from_dict(self._facts["plan"])
        last = self.rows[-1] if self.rows else {}
        step = max(tally["step"], last.get("step", 0))
        seconds = max(tally["train_seconds"], last.get("seconds", 0.0))
        left = seconds / step * (plan.total_steps - step) if running and step else None
        return Reached(
            step=step,
            total_steps=plan.total_steps,
            epoch=round(step / plan.steps_per_epoch, 3),
            epochs=round(plan.total_steps / plan.steps_per_epoch, 3),
            loss=last.get("loss"),
            accuracy=last.get("accuracy"),
            images_per_second=last.get("images_per_second", 0.0),
            seconds=round(seconds, 3),
            seconds_left=None if left is None else round(left, 1),
        )

    def _follow(self) -> None:
        while not self._closed.wait(LOOK_S):
            try:
                if self.folder.manifest.exists():
                    return self._end()
                self.refresh()
            except (ConvlensError, OSError):
                continue  # a file between two states; the next look sees it whole

    def _end(self) -> None:
        words = "the run is saved"
        try:
            self._whole(self.folder.path)
        except ConvlensError as error:  # a network of one's own whose file was not given
            words += f", and cannot be opened: {error}"
        self.rows = read_history(self.folder.history)
        self.say("done", words, ended=True)


def _changed_at(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
