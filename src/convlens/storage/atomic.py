"""Atomic writes: after a crash, a kill or a full disk the old file or the new one is there, never half of one."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from convlens.errors import StorageError
from convlens.storage.cache import cache_dir

PREFIX, SUFFIX = ".convlens-", ".tmp"

# fmt: off
REASONS = {  # errno -> what happened
    errno.ENOSPC:  "the disk is full",
    errno.EDQUOT:  "the disk quota is used up",
    errno.EFBIG:   "the file is larger than the file system allows",
    errno.EROFS:   "the file system is read-only",
    errno.EACCES:  "permission denied",
    errno.EPERM:   "permission denied",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EEXIST:  "a file stands where a folder is needed",
    errno.EISDIR:  "a folder stands where the file should be",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EMFILE:  "too many files are open",
    errno.EIO:     "the device reports an error",
}
# fmt: on


@contextmanager
def guard(path: str | Path, *, option: str | None = "--out") -> Iterator[None]:
    """Turn an OSError of the writer inside into one line of StorageError that says what happened and what to do.

    `option` is the one that says where the file goes; None where nothing but the run does.
    """
    try:
        yield
    except OSError as error:
        what = REASONS.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(f"cannot write {path}: {what}; {_remedy(Path(path), error.errno, option)}") from error


@contextmanager
def replacing(path: str | Path, *, lasting: bool = True, option: str | None = "--out") -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; when the block ends well, it becomes `path`.

    For writers that want a file name. The parent folders are made. Whatever is raised inside, the temporary file is
    removed and the old file is as before; an OSError becomes a StorageError. What need not be `lasting`, because it can
    be made again, is not waited for: after a power cut the file may be damaged.
    """
    path = Path(path)
    temporary = path.parent / f"{PREFIX}{secrets.token_hex(6)}{SUFFIX}"
    with guard(path, option=option):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            if lasting:
                _sync_file(temporary)
            temporary.replace(path)
            if lasting:
                _sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def write_bytes(path: str | Path, data: bytes | bytearray | memoryview, *, option: str | None = "--out") -> None:
    """Write a whole file or none; raises StorageError, and then the old file is as before."""
    with replacing(path, option=option) as temporary:
        # 0o666 is narrowed by the umask, as for any file the user makes
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            left = memoryview(data).cast("B")
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)


def write_text(path: str | Path, text: str, *, option: str | None = "--out") -> None:
    """The same for text, as UTF-8 with the line ends that `text` has."""
    write_bytes(path, text.encode(), option=option)


def write_json(path: str | Path, value: Any, *, option: str | None = "--out") -> None:
    """The same for a JSON value; NaN and infinity are not JSON and raise ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", option=option)


def check_writable(path: str | Path, *, option: str | None = "--out") -> None:
    """StorageError where no file could be written at `path`: asked before hours of work. Nothing is left or made."""
    with guard(path, option=option):
        folder = next(one for one in Path(path).absolute().parents if one.exists())
        probe = folder / f"{PREFIX}{secrets.token_hex(6)}{SUFFIX}"
        try:
            probe.touch(exist_ok=False)
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)


def remove_leftovers(folder: str | Path) -> None:
    """Remove the temporary files that killed processes left in `folder` itself; call it while holding its lock."""
    for leftover in Path(folder).glob(f"{PREFIX}*{SUFFIX}"):
        with guard(leftover):
            leftover.unlink(missing_ok=True)


def _remedy(path: Path, number: int | None, option: str | None) -> str:
    elsewhere = "make its folder writable, or copy the run to another place"
    if path.absolute().is_relative_to(cache_dir()):
        elsewhere = "set CONVLENS_CACHE to another folder"
    elif option is not None:
        elsewhere = f"choose another place with {option}"
    return f"free some space or {elsewhere}" if number in (errno.ENOSPC, errno.EDQUOT) else elsewhere


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)  # Windows flushes only what is open for writing
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut; a no-op where folders cannot be synced."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # some network file systems refuse
            raise
    finally:
        os.close(descriptor)
