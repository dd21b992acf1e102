"""Take a folder for a run: nobody else's, and never one that holds something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from shlex import quote

from convlens.errors import RunError, UsageError
from convlens.runs import RunFolder
from convlens.storage import FolderLock, check_writable, guard, remove_leftovers

LOCK = ".lock"
MARK = "demo.json"  # says that a run is the demo's own, which may be replaced


def claim(held: ExitStack, path: Path, *, made: bool = False) -> RunFolder:
    """Make the folder and lock it until `held` closes; `made` says that the caller has just made it.

    Raises RunError when it holds a run, an interrupted training or somebody's files, StorageError when it is in use or
    cannot be written.
    """
    folder = RunFolder(path)
    made = made or not path.exists()
    with guard(path):
        path.mkdir(parents=True, exist_ok=True)
        if not folder.manifest.exists():
            _refuse_strangers(folder)  # before a lock is put among them
    held.enter_context(FolderLock(path, name=LOCK))
    held.callback(_leave_nothing, folder, made)  # before the lock is given back
    _refuse_runs(folder)
    sweep(folder)
    return folder


def check_free(path: Path) -> None:
    """What `claim` would refuse, but for a lock, before work that takes long: nothing is made or locked."""
    folder = RunFolder(path)
    check_writable(folder.manifest)
    if path.exists():
        with guard(path):
            if not folder.manifest.exists():
                _refuse_strangers(folder)
        _refuse_runs(folder)


def _refuse_runs(folder: RunFolder) -> None:
    path = folder.path
    if folder.manifest.exists():
        raise RunError(f"{path} already holds a run, which is never overwritten; choose another folder with --out")
    if folder.last.exists():
        again = f"--resume {quote(str(path))}"
        raise RunError(f"{path} holds an interrupted training; go on with {again}, or choose another folder with --out")


def sweep(folder: RunFolder) -> None:
    """Remove what killed writers left where a training writes, and nowhere below; call it while holding the lock."""
    remove_leftovers(folder.path)
    remove_leftovers(folder.last.parent)


def _refuse_strangers(folder: RunFolder) -> None:
    """Hidden files apart, only what a training leaves that ended before its first checkpoint, or was interrupted."""
    ours = _of_a_training(folder)
    if strangers := sorted(str(file.relative_to(folder.path)) for file in _visible(folder) if file not in ours):
        more = f" and {len(strangers) - 1:,} more" if len(strangers) > 1 else ""
        raise RunError(
            f"{folder.path} holds {strangers[0]}{more}, which no training left there; choose another folder with --out"
        )


def _of_a_training(folder: RunFolder) -> set[Path]:
    return {folder.splits, folder.looks, folder.history, folder.last, folder.best, folder.path / MARK}


def _visible(folder: RunFolder) -> Iterator[Path]:
    for file in folder.path.iterdir():
        if file == folder.last.parent and file.is_dir():
            yield from (inside for inside in file.iterdir() if not inside.name.startswith("."))
        elif not file.name.startswith("."):
            yield file


def _leave_nothing(folder: RunFolder, made: bool) -> None:
    """A command that failed before its first checkpoint leaves no folder that it made, and no lock.

    Weights that no manifest describes, as a full disk or Ctrl-C leaves them, are not kept either; the demo's mark is.
    """
    ours = _of_a_training(folder) | {folder.weights, folder.packed}
    with suppress(OSError):  # some systems do not remove a file that is open
        kept = any(file.exists() for file in (folder.manifest, folder.last, folder.path / MARK))
        files = list(_visible(folder))
        if made and not kept and all(file in ours for file in files):
            sweep(folder)
            for file in (*files, folder.path / LOCK):
                file.unlink()
            with suppress(FileNotFoundError):
                folder.last.parent.rmdir()
            folder.path.rmdir()
        elif {file.name for file in folder.path.iterdir()} == {LOCK}:
            (folder.path / LOCK).unlink()


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
            return claim(held, path, made=True)
    raise UsageError(f"runs/ holds ten thousand runs called {name}; choose a folder with --out")
