"""The runs whose weights a run began with, and so what it was trained on before."""

from __future__ import annotations

import re
from pathlib import Path

from convlens.errors import ConvlensError
from convlens.runs import Run
from convlens.storage import sha256_file
from convlens.workbench.results import Tell
from convlens.workbench.weights import folders_of, is_file, weights_file, whole_run_of

LOST = "what that was trained on cannot be told from new pictures"


def begun_with(weights: str | Path | None, tell: Tell) -> Run | None:
    """The run that these weights are of; that it did not end, and so cannot say what it was trained on, is told.

    RunError where it is damaged, so that it cannot say so either.
    """
    run = whole_run_of(weights)
    if run is not None:
        _ = run.splits, run.looks
    elif is_file(weights) and folders_of(weights):
        tell(f"{weights} is of no whole run: {LOST}")
    return run


def earlier_run(run: Run) -> tuple[Run | None, str]:
    """The run whose weights it began with, where that is still there, and the same; else why it cannot be asked."""
    path, digest = _origin(run)
    try:
        file = Path(str(weights_file(path)))
        earlier = whole_run_of(file)
        if earlier is not None and sha256_file(file).startswith(digest):
            _ = earlier.splits, earlier.looks
            return earlier, ""
    except (ConvlensError, OSError) as error:
        return None, f"{path}, which this run began with, cannot be read ({error}): {LOST}"
    if folders_of(path) or (path.is_absolute() and not path.suffix):
        return None, f"{path}, which this run began with, is gone, changed or of no whole run: {LOST}"
    return None, ""


def _origin(run: Run) -> tuple[Path, str]:
    """The file or run that its weights are from, and the first digits of their SHA-256."""
    said, digest = str(run.manifest.weights.get("from")), run.manifest.weights.get("source_sha256")
    found = re.fullmatch(r"(.+) \(sha256 ([0-9a-f]{16})\)", said, re.DOTALL)
    return (Path(found[1]), found[2]) if found else (Path(said), str(digest))
