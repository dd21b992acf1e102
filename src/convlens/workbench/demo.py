"""`convlens demo`: the whole way on the bundled digits, in seconds."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from convlens.data import open_images
from convlens.errors import RunError
from convlens.pictures import png_bytes
from convlens.runs import Run, RunFolder
from convlens.storage import FolderLock, guard, write_bytes, write_json
from convlens.workbench.claim import LOCK, MARK, claim, sweep
from convlens.workbench.evaluate import evaluate
from convlens.workbench.explain import explain
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.train import train
from convlens.workbench.typed import typed

DEFAULT_FOLDER = Path("runs") / "demo"
DATA, MODEL, EPOCHS = "digits", "lenet5", 30
NUM_EXAMPLES = 6
# fmt: off
OWN_FILES = (  # all that the demo and later verbs write into its run
    MARK, "run.json", "weights.safetensors", "splits.csv", "looks.safetensors", "history.jsonl", "report.html",
    "checkpoints/best.safetensors", "checkpoints/last.safetensors", "evaluation/*.json", "thumbnails/*.jpg",
    "overlays/*.jpg",
    "explanations/*.png", "explanations/*.svg", "explanations/*.gif", "explanations/*.npy", "explanations/*.json",
    "explanations/explained.html", "examples/digit-*.png",
    "exports/*.onnx", "exports/*.xml", "exports/*.bin", "exports/*.pt2", "exports/*.safetensors", "engines/*.json",
)
# fmt: on


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


@typed
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
        picture_says=f"{first.target} ({100 * first.probability:.1f} %)",
        report=run.folder.report,
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
    """An earlier demo at its usual place is removed, and nothing that is not the demo's; then the folder is marked."""
    folder = RunFolder(path)
    if path == DEFAULT_FOLDER:
        if (path / MARK).exists():
            _remove(folder)
        elif folder.manifest.exists() or folder.last.exists():
            raise RunError(
                f"{path} holds a run that is no demo and is never overwritten; choose another folder with --out"
            )
    with ExitStack() as held:
        write_json(claim(held, path).path / MARK, {"demo": True})


def _remove(folder: RunFolder) -> None:
    """Raises RunError, and removes nothing, where somebody put files of their own into the demo's run."""
    with FolderLock(folder.path), guard(folder.path):
        sweep(folder)
        files = [file for file in folder.path.rglob("*") if file.is_symlink() or not file.is_dir()]
        ours = {file for pattern in OWN_FILES for file in folder.path.glob(pattern)}
        lock = folder.path / LOCK
        if strangers := sorted(str(file.relative_to(folder.path)) for file in files if file not in {*ours, lock}):
            raise RunError(
                f"{folder.path} holds {strangers[0]}, which is not the demo's; move it away, or choose another folder "
                "with --out"
            )
        for file in ours:
            file.unlink()
        for place in {file.parent for file in ours} - {folder.path}:
            place.rmdir()
    with guard(folder.path):
        lock.unlink()
        with suppress(OSError):  # an empty folder of somebody's stays
            folder.path.rmdir()
