"""Take a folder for a run: nobody else's, and never one that holds something."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path

from convlens.errors import RunError, UsageError
from convlens.runs import RunFolder
from convlens.storage import FolderLock, guard, remove_leftovers


def claim(held: ExitStack, path: Path) -> RunFolder:
    """Make the folder and lock it until `held` closes.

    Raises RunError when it holds a run or an interrupted training, StorageError when it is in use or cannot be written.
    """
    with guard(path):
        path.mkdir(parents=True, exist_ok=True)
    held.enter_context(FolderLock(path))
    remove_leftovers(path)
    folder = RunFolder(path)
    if folder.manifest.exists():
        raise RunError(f"{path} already holds a run, which is never overwritten; choose another folder with --out")
    if folder.last.exists():
        raise RunError(
            f"{path} holds an interrupted training; go on with --resume {path}, or choose another folder with --out"
        )
    return folder


def claim_free(held: ExitStack, name: str) -> RunFolder:
    """runs/NAME, or runs/NAME-2 and so on where that is taken."""
    with guard(Path("runs")):
        Path("runs").mkdir(exist_ok=True)
    for number in range(1, 10_000):
        path = Path("runs") / (name if number == 1 else f"{name}-{number}")
        with guard(path), suppress(FileExistsError):  # as when two trainings begin at once
            path.mkdir()
            return claim(held, path)
    raise UsageError(f"runs/ holds ten thousand runs called {name}; choose a folder with --out")
