"""One writer per folder: a lock that the operating system frees when its process ends, however it ends."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from types import TracebackType

from convlens.errors import StorageError
from convlens.storage.atomic import guard

POLL_S = 0.2
IN_USE = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)

if sys.platform == "win32":
    import msvcrt

    # a Windows lock forbids reading too: lock a byte far behind the process number, which others must read
    LOCKED_BYTE = 2**30

    def _try_lock(descriptor: int) -> None:
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FolderLock:
    """Hold `folder` for this process: `with FolderLock(run): ...`; raises StorageError naming the process that has it.

    The lock file stays behind, unlocked: removing it would let two processes lock two files of the same name.
    A file system without locks (some network mounts) gives no protection and no error.
    """

    def __init__(self, folder: str | Path, *, name: str = ".lock", wait_s: float = 0.0) -> None:
        self.folder = Path(folder)
        self.path = self.folder / name
        self.wait_s = wait_s
        self._descriptor: int | None = None

    def __enter__(self) -> FolderLock:
        assert self._descriptor is None, "a FolderLock is entered once at a time"
        with guard(self.path):
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            self._wait_for(descriptor)
            with guard(self.path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)  # closing frees the lock
            self._descriptor = None

    def is_held(self) -> bool:
        """Does anybody hold it now? False where there is no lock, or where the file system has none."""
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except OSError:
            return False
        try:
            _try_lock(descriptor)
            return False
        except OSError as error:
            return error.errno in IN_USE
        finally:
            os.close(descriptor)

    def _wait_for(self, descriptor: int) -> None:
        give_up = time.monotonic() + self.wait_s
        while True:
            try:
                return _try_lock(descriptor)
            except OSError as error:
                if error.errno not in IN_USE:
                    return
                if time.monotonic() >= give_up:
                    raise StorageError(self._in_use(descriptor)) from None
            time.sleep(POLL_S)

    def _in_use(self, descriptor: int) -> str:
        holder = os.pread(descriptor, 20, 0) if hasattr(os, "pread") else os.read(descriptor, 20)
        process = f"process {holder.decode()}" if holder.isdigit() else "another process"
        return f"{self.folder} is in use by {process}; wait until it ends, stop it, or choose another folder"
