"""Is a file of a run the one that was written? If not, what is wrong with it, and what to do."""

from __future__ import annotations

from pathlib import Path

from convlens.errors import RunError
from convlens.storage import sha256_file

RESTORE = "restore it from a copy of the run, or make the run again"


def check_whole(path: Path, sha256: str, size_bytes: int | None = None) -> None:
    """Raises RunError for a file that is missing, was cut short or changed; run.json has its digest and size."""
    try:
        size = path.stat().st_size
        if sha256_file(path) == sha256:
            return
    except OSError as error:
        raise unusable(path, error) from error
    what = "its SHA-256 differs"
    if size < (size_bytes or 0):
        what = f"it was cut short: {size:,} of {size_bytes:,} bytes are there"
    elif not size:
        what = "it is empty"
    raise RunError(f"{path} is not the file that run.json describes ({what}); {RESTORE}")


def unusable(path: Path, error: Exception) -> RunError:
    """The error for a file that cannot be read at all."""
    if isinstance(error, FileNotFoundError):
        return RunError(f"{path} is missing; {RESTORE}")
    reason = error.strerror if isinstance(error, OSError) else error
    return RunError(f"{path} is damaged or cannot be read ({reason}); {RESTORE}")
