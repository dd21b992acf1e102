"""Where a smaller run goes, and the pictures that it learns on and is judged on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from convlens.errors import Stopped
from convlens.runs import Run
from convlens.workbench.gather import Gathered
from convlens.workbench.same_pictures import Answers


@dataclass(frozen=True)
class Where:
    """`place` is the folder of the new run, or of several; `plot` the file of a drawing.

    `answers` gives those of several runs to pictures that none of them was trained on.
    """

    place: Path | None
    plot: Path | None
    gather: Callable[[], Gathered]
    answers: Callable[[Sequence[Run]], Answers]


@contextmanager
def whole_already(run: Run, made: Sequence[Run]) -> Iterator[None]:
    """Ctrl-C in here comes after these new runs were saved, and says so."""
    try:
        yield
    except KeyboardInterrupt as error:
        if not made:
            raise
        paths = " ".join(quote(str(one.path)) for one in made)
        judge = f"convlens compare {quote(str(run.path))} {paths}"
        raise Stopped(f"stopped before all was judged; whole and saved: {paths}; judge with: {judge}", 130) from error
