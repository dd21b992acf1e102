"""Progress bars on stderr; plain lines where stderr is no terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

TITLES = {
    "scan": "scanning",
    "decode": "decoding",
    "train": "training",
    "read": "reading",
    "bench": "timing",
    "time": "timing",
    "corrupt": "changing pictures",
    "features": "fitting the head",
    "search": "searching",
}
LINE_EVERY_S = 10.0  # where there is no terminal


class Bars:
    """`bars(stage, done, total, detail)` moves a bar; `bars.tell(text)` prints a line above them."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, emoji=False)
        self.terminal = self.console.is_terminal
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}", markup=False),
            console=self.console,
            refresh_per_second=8,
        )
        self._tasks: dict[str, TaskID] = {}
        self._printed = time.monotonic()

    def __enter__(self) -> Bars:
        if self.terminal:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.terminal:
            self._bars.stop()

    def __call__(self, stage: str, done: int, total: int, detail: str = "") -> None:
        if not self.terminal:
            return self._line(stage, done, total, detail)
        title = TITLES.get(stage, stage)
        if stage in self._tasks and self._bars.tasks[self._tasks[stage]].completed > done:
            del self._tasks[stage]  # a second pass, the validation part for one
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(title, total=total, detail=detail)
        self._bars.update(self._tasks[stage], completed=done, total=total, detail=detail)

    def tell(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def _line(self, stage: str, done: int, total: int, detail: str) -> None:
        if time.monotonic() - self._printed > LINE_EVERY_S:
            self._printed = time.monotonic()
            print(f"{TITLES.get(stage, stage)} {done:,}/{total:,}  {detail}".rstrip(), file=sys.stderr, flush=True)
