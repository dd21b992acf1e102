"""The user's cache: what can be made or downloaded again, at most 20 GB, the longest unused out first.

An entry is a file or folder two steps below the cache: `weights/NAME.npz`, `data/mnist`, `archives/3f2a…`, `pixels/…`.
It is kept or removed as a whole, and its age is the time of the last `touch`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from convlens.errors import StorageError

CAP_BYTES = 20 * 10**9
SAFE_AGE_S = 3600.0  # another process may be reading what was used within the hour
_in_use: set[Path] = set()  # entries this process has touched: never evicted by it


def cache_dir() -> Path:
    """$CONVLENS_CACHE, else `convlens` in the platform's cache folder; it need not exist yet."""
    if chosen := os.environ.get("CONVLENS_CACHE"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "convlens" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "convlens"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "convlens"


def touch(path: str | Path) -> None:
    """Note that the entry which holds `path` is used now; nothing happens outside the cache."""
    entry = _entry_of(Path(path))
    if entry is not None:
        _in_use.add(entry)
        with suppress(OSError):  # a read-only cache still serves
            os.utime(entry)


def make_room(num_bytes: int) -> None:
    """Evict the longest unused entries until `num_bytes` more fit under the cap and on the disk.

    What this process touched, or anyone within the hour, stays. Raises StorageError where the disk is too small.
    """
    entries = sorted(_entries())
    excess = sum(size for _, size, _ in entries) + num_bytes - CAP_BYTES
    for used, size, entry in entries:
        if max(excess, num_bytes - _free_bytes()) <= 0:
            return
        if entry not in _in_use and time.time() - used > SAFE_AGE_S:
            _remove(entry)
            excess -= size
    if (free := _free_bytes()) < num_bytes:
        raise StorageError(
            f"the cache {cache_dir()} needs {num_bytes / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB free; "
            f"free some space or set CONVLENS_CACHE to a folder on another disk"
        )


def _entry_of(path: Path) -> Path | None:
    try:
        steps = path.absolute().relative_to(cache_dir()).parts
    except ValueError:
        return None
    return cache_dir().joinpath(*steps[:2]) if len(steps) >= 2 else None


def _entries() -> Iterator[tuple[float, int, Path]]:
    """(time of the last use, bytes, path) of every entry."""
    for entry in cache_dir().glob("*/*"):
        with suppress(OSError):  # another process may evict it meanwhile
            yield entry.lstat().st_mtime, _size(entry), entry


def _size(entry: Path) -> int:
    files = entry.rglob("*") if entry.is_dir() and not entry.is_symlink() else [entry]
    return sum(status.st_size for status in map(Path.lstat, files) if stat.S_ISREG(status.st_mode))


def _remove(entry: Path) -> None:
    """A folder under another name first: what is left of it where that breaks off is nobody's entry, and goes next."""
    with suppress(OSError):  # another process was quicker, or Windows has it open: the next call tries again
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry.rename(entry.with_name(f".convlens-{secrets.token_hex(6)}.tmp")))
        else:
            entry.unlink(missing_ok=True)


def _free_bytes() -> int:
    there = next(folder for folder in (cache_dir(), *cache_dir().parents) if folder.exists())
    return shutil.disk_usage(there).free
