"""Where a smaller run goes, and the pictures that it learns on and is judged on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
