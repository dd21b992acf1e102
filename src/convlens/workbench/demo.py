"""`convlens demo`: the whole way on the bundled digits, in seconds."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from convlens.data import open_images
from convlens.errors import RunError
from convlens.runs import Run
from convlens.workbench.evaluate import evaluate
from convlens.workbench.explain import explain
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.train import train

DEFAULT_FOLDER = Path("runs") / "demo"


@dataclass(frozen=True)
class DemoResult:
    """`accuracy` is over the held-out test part, with its 95 % interval."""

    run: Path
    model: str
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    num_test_pictures: int
    explanation: Path
    picture_says: str
    report: Path
    seconds: float


def demo(
    *,
    out: str | Path = DEFAULT_FOLDER,
    progress: Progress | None = None,
    tell: Tell = silent,
    started: float | None = None,
) -> DemoResult:
    """Train LeNet-5 on 1,797 handwritten digits, score it on held-out ones, explain one, write a report."""
    started = time.monotonic() if started is None else started
    _make_room(Path(out))
    train("digits", model="lenet5", out=out, progress=progress, tell=tell, started=started)
    run = Run.load(out)
    judged = evaluate(run, "digits", progress=progress, tell=tell)
    assert run.splits is not None
    digits = open_images("digits")
    shown = [digits.reader.read(int(index)) for index in run.splits.indices("test")[:6]]
    seen = explain(run, shown, method="grad_cam", progress=progress)
    explain(run, method="filters")
    first = seen.pictures[0]
    return DemoResult(
        run=run.path,
        model="lenet5",
        accuracy=judged.scores.accuracy,
        accuracy_low=judged.scores.accuracy_low,
        accuracy_high=judged.scores.accuracy_high,
        num_test_pictures=judged.scores.num_pictures,
        explanation=seen.files[0],
        picture_says=f"{first.target} ({first.probability:.1%})",
        report=seen.report,
        seconds=round(time.monotonic() - started, 2),
    )


def _make_room(path: Path) -> None:
    """An earlier demo is replaced; anything else is not touched."""
    if not (path / "run.json").exists() and not (path / "checkpoints").exists():
        return
    if path != DEFAULT_FOLDER:
        raise RunError(f"{path} already holds a run, which is never overwritten; choose another folder with --out")
    shutil.rmtree(path)
