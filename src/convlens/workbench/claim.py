"""Take a folder for a run: nobody else's, and never one that holds something."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path

from convlens.errors import RunError, UsageError
from convlens.runs import RunFolder
from convlens.storage import FolderLock, guard, remove_leftovers

LOCK = ".lock"


def claim(held: ExitStack, path: Path) -> RunFolder:
    """Make the folder and lock it until `held` closes.

    Raises RunError when it holds a run or an interrupted training, StorageError when it is in use or cannot be written.
    """
    with guard(path):
        path.mkdir(parents=True, exist_ok=True)
    held.enter_context(FolderLock(path, name=LOCK))
    held.callback(_leave_nothing, path)  # before the lock is given back
    remove_leftovers(path)
    folder = RunFolder(path)
    if folder.manifest.exists():
        raise RunError(f"{path} already holds a run, which is never overwritten; choose another folder with --out")
    if folder.last.exists():
        raise RunError(
            f"{path} holds an interrupted training; go on with --resume {path}, or choose another folder with --out"
        )
    return folder


def _leave_nothing(path: Path) -> None:
    """A command that failed before it wrote anything leaves no folder behind."""
    if [file.name for file in path.iterdir()] == [LOCK]:
        with suppress(OSError):  # some systems do not remove a file that is open
            (path / LOCK).unlink()
            path.rmdir()


def keep_apart(path: Path, source: str | Path) -> None:
    """Raises UsageError when a run would lie among the user's pictures, which are never written to."""
    pictures = Path(source).expanduser().resolve()
    if pictures.is_dir() and path.resolve().is_relative_to(pictures):
        raise UsageError(f"{path} lies inside the pictures of {source}; choose a folder outside with --out")


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
