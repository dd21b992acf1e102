"""`convlens demo`: the whole way on the bundled digits, in seconds."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from convlens.data import open_images
from convlens.errors import RunError
from convlens.pictures import png_bytes
from convlens.runs import Run, RunFolder, read_manifest
from convlens.storage import FolderLock, guard, write_bytes
from convlens.training import interrupted
from convlens.workbench.evaluate import evaluate
from convlens.workbench.explain import explain
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.train import train

DEFAULT_FOLDER = Path("runs") / "demo"
DATA, MODEL, EPOCHS = "digits", "lenet5", 30
NUM_EXAMPLES = 6


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
    train(DATA, model=MODEL, epochs=EPOCHS, out=out, progress=progress, tell=tell, started=started)
    run = Run.load(out)
    judged = evaluate(run, DATA, progress=progress, tell=tell)
    seen = explain(run, _examples(run), method="grad_cam", progress=progress)
    explain(run, method="filters")
    first = seen.pictures[0]
    return DemoResult(
        run=run.path,
        model=MODEL,
        accuracy=judged.scores.accuracy,
        accuracy_low=judged.scores.accuracy_low,
        accuracy_high=judged.scores.accuracy_high,
        num_test_pictures=judged.scores.num_pictures,
        explanation=seen.files[0],
        picture_says=f"{first.target} ({first.probability:.1%})",
        report=seen.report,
        seconds=round(time.monotonic() - started, 2),
    )


def _examples(run: Run) -> list[Path]:
    """Some digits of the test part as files in the run, for whoever wants to try a command on them."""
    assert run.splits is not None
    digits = open_images(DATA)
    files = []
    for number, index in enumerate(run.splits.indices("test")[:NUM_EXAMPLES]):
        file = run.path / "examples" / f"digit-{number}.png"
        with guard(file):
            file.parent.mkdir(exist_ok=True)
        write_bytes(file, png_bytes(digits.reader.read(int(index))))
        files.append(file)
    return files


def _make_room(path: Path) -> None:
    """An earlier demo at its usual place is replaced; anything else is not touched."""
    folder = RunFolder(path)
    if path != DEFAULT_FOLDER or not (folder.manifest.exists() or folder.last.exists()):
        return
    if not _is_demo(folder):
        raise RunError(f"{path} holds a run that is no demo and is never overwritten; choose another folder with --out")
    with FolderLock(path), guard(path):
        shutil.rmtree(path)


def _is_demo(folder: RunFolder) -> bool:
    """Whole or interrupted."""
    if folder.manifest.exists():
        manifest = read_manifest(folder.manifest)
        network, data = manifest.architecture, manifest.data
    else:
        _, _, facts = interrupted(folder)
        network, data = facts["architecture"], facts["data"]
    return network.get("name") == MODEL and (data or {}).get("name") == DATA
