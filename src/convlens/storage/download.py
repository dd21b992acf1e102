"""Downloads that end with the right file or a clear error: several mirrors, resumed, checked against a digest."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from convlens.errors import DownloadError
from convlens.storage.atomic import guard
from convlens.storage.digest import sha256_file
from convlens.storage.lock import FolderLock

Progress = Callable[[str, int, int, str], None]

CHUNK_BYTES = 1 << 16
SLOWEST_BYTES_PER_S = 1024  # a mirror below this counts as stalled
TRIES = 2  # per mirror: a broken transfer is resumed once
WAIT_FOR_OTHER_S = 600.0  # another process may be fetching the same file


class Broken(Exception):
    """This transfer failed; the text says why. `again` says whether the same mirror deserves another try."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


@dataclass(frozen=True)
class Wanted:
    """The file that is wanted, and how to know it."""

    path: Path
    sha256: str
    size_bytes: int | None
    timeout_s: float
    progress: Progress | None

    @property
    def part(self) -> Path:
        return self.path.with_name(self.path.name + ".part")

    def matches(self, file: Path) -> bool:
        return sha256_file(file).startswith(self.sha256)

    def report(self, done: int, total: int) -> None:
        if self.progress:
            self.progress("download", done, total, self.path.name)


def download(
    urls: Sequence[str],
    path: str | Path,
    *,
    sha256: str,
    size_bytes: int | None = None,
    progress: Progress | None = None,
    timeout_s: float = 20.0,
) -> Path:
    """Fetch a file from the first mirror that has it whole; a file already at `path` with this digest is kept.

    `sha256` may be the first 8 or more hex digits. What arrived stays in `path.part` and is continued by the next try,
    mirror or call. Raises DownloadError with every mirror's reason, StorageError where the disk refuses.
    """
    assert re.fullmatch("[0-9a-f]{8,64}", sha256), f"{sha256=} is not a SHA-256 or a prefix of one"
    wanted = Wanted(Path(path), sha256, size_bytes, timeout_s, progress)
    if wanted.path.is_file() and wanted.matches(wanted.path):
        return wanted.path
    with FolderLock(wanted.path.parent, name=".download.lock", wait_s=WAIT_FOR_OTHER_S):
        if wanted.path.is_file() and wanted.matches(wanted.path):  # fetched by the process that we waited for
            return wanted.path
        reasons = []
        for url in urls:
            try:
                return _fetch(url, wanted)
            except Broken as reason:
                reasons.append(f"{urlsplit(url).netloc}: {reason}")
    raise DownloadError(_all_failed(wanted, reasons))


def _fetch(url: str, wanted: Wanted) -> Path:
    """Transfer and check; raises Broken when this mirror is given up."""
    for tries_left in reversed(range(TRIES)):
        try:
            _transfer(url, wanted)
            return wanted.path
        except Broken as reason:
            if not (reason.again and tries_left):
                raise
    raise AssertionError("the last try returns or raises")


def _transfer(url: str, wanted: Wanted) -> None:
    start = wanted.part.stat().st_size if wanted.part.exists() else 0
    if start == 0 or start != wanted.size_bytes:
        _receive(url, wanted, start)
    if not wanted.matches(wanted.part):
        with guard(wanted.part):
            wanted.part.unlink()
        # bytes of another mirror or call may be the wrong ones: then this mirror may try from the start
        raise Broken("the file has another SHA-256 than the published one", again=start > 0)
    with guard(wanted.path):
        wanted.part.replace(wanted.path)


def _receive(url: str, wanted: Wanted, start: int) -> None:
    """Append what is missing to the part, or write it anew where the server ignores ranges."""
    headers = {"User-Agent": "convlens"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        with urlopen(Request(url, headers=headers), timeout=wanted.timeout_s) as response:
            begin, total = _extent(response, start, wanted)
            with guard(wanted.part):
                file = wanted.part.open("ab" if begin else "wb")
            with file:
                _copy(response, file, wanted, begin, total)
    except HTTPError as error:
        error.close()
        if error.code == 416 and start:  # nothing lies behind our bytes: the digest decides
            return
        raise Broken(f"HTTP {error.code} {error.reason}", again=False) from error
    except (OSError, http.client.HTTPException) as error:
        raise Broken(_network_reason(error, wanted.timeout_s), again=_worth_retrying(error)) from error


def _extent(response: http.client.HTTPResponse, start: int, wanted: Wanted) -> tuple[int, int]:
    """(first byte of this answer, bytes of the whole file or 0 where the server does not say)."""
    begin = 0
    if response.status == 206:
        content_range = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        begin = int(content_range[1]) if content_range else -1
        if begin != start:
            raise Broken("the server answers with another range than asked", again=False)
    length = response.headers.get("Content-Length", "")
    total = begin + int(length) if length.isdigit() else 0
    if wanted.size_bytes and total and total != wanted.size_bytes:  # a login page must not replace a good part
        raise Broken(f"the file has {total:,} bytes there, {wanted.size_bytes:,} are expected", again=False)
    return begin, total or wanted.size_bytes or 0


def _copy(response: http.client.HTTPResponse, file: BinaryIO, wanted: Wanted, done: int, total: int) -> None:
    window_start, window_bytes = time.monotonic(), 0
    while chunk := response.read1(CHUNK_BYTES):
        with guard(wanted.part):
            file.write(chunk)
            file.flush()
        done, window_bytes = done + len(chunk), window_bytes + len(chunk)
        wanted.report(done, total)
        if total and done > total:
            raise Broken(f"the file is longer than the {total:,} bytes expected", again=False)
        if (passed := time.monotonic() - window_start) > wanted.timeout_s:
            if window_bytes < SLOWEST_BYTES_PER_S * passed:
                raise Broken(f"stalled: {window_bytes:,} bytes in {passed:.0f} s", again=False)
            window_start, window_bytes = time.monotonic(), 0
    if total and done < total:
        raise Broken(f"broke off after {done:,} of {total:,} bytes", again=True)


def _network_reason(error: Exception, timeout_s: float) -> str:
    cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


def _worth_retrying(error: Exception) -> bool:
    """A connection that broke may be resumed at once; no connection, or a silent one, means the next mirror."""
    return not isinstance(error, URLError | TimeoutError)


def _all_failed(wanted: Wanted, reasons: Sequence[str]) -> str:
    size = f"{wanted.size_bytes:,} bytes, " if wanted.size_bytes else ""
    digest = "SHA-256" if len(wanted.sha256) == 64 else "its SHA-256 begins with"
    return (
        f"cannot download {wanted.path.name} ({'; '.join(reasons)}); check the network and try again, "
        f"or put the file ({size}{digest} {wanted.sha256}) into {wanted.path.parent} by hand"
    )
