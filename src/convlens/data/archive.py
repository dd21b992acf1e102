"""A zip or tar archive of a folder, unpacked safely into the user's cache, once.

Refused: names that lead out of the folder. Left out: devices, hidden files and macOS's companions.
A link becomes a copy of the file that it names, of a hidden one too; one to what is no file of the archive is left out,
and counted. So is a file whose name comes again: the last is taken.
Stopped: more than 200 times the archive's size (plus 100 MB), or more than the disk has free.
"""

from __future__ import annotations

import errno
import lzma
import os
import re
import secrets
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Self

from convlens.errors import DataError, StorageError
from convlens.storage import cache_dir, guard, make_room, sha256_bytes, touch

Progress = Callable[[str, int, int, str], None]

MAX_RATIO = 200
SMALL_BYTES = 100 * 10**6  # a tiny archive of plain pictures may shrink more than that
SPARE_BYTES = 200 * 10**6  # what the disk keeps
CHUNK_BYTES = 1 << 20
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MAX_LINK_BYTES = 4096  # of a name; more is no link
SHOWN = 80  # characters of a name
BAD_NAME = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.EINVAL, errno.EILSEQ}
DAMAGED = (
    EOFError,
    OSError,
    RuntimeError,  # zipfile: a password is needed
    NotImplementedError,  # zipfile: a rare compression
    ValueError,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class LeftOut:
    """How many links to what is no file of the archive, and files whose name comes again in it."""

    links: int
    replaced: int


@dataclass(frozen=True)
class Member:
    """One file of an archive: its data, or the name of another that it equals; `done` bytes lie before it."""

    name: str
    data: IO[bytes] | str
    done: int
    symbolic: bool = False  # a link that may well lead outside


class _Header(tarfile.TarInfo):
    """Python takes a header that is cut, missing or damaged for the end of a tar; here the end is a block of zeros."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.EmptyHeaderError as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(
                "the tar has no end: it stops where the next file or the end should stand"
            ) from error
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} where the next file or the end should stand") from error


def unpack(archive: Path, *, progress: Progress | None = None) -> Path:
    """The folder in the cache with the archive's files; the same archive (path, size, time) is unpacked only once."""
    status = archive.stat()
    identity = f"{archive.absolute()} {status.st_size} {status.st_mtime_ns}"
    place = cache_dir() / "archives" / sha256_bytes(identity.encode("utf-8", "surrogateescape"))[:16]
    folder = _unpacked(place)
    if folder is None:
        make_room(_size_estimate(archive))
        folder = unpack_into(archive, place, progress=progress)
    touch(folder)
    return folder


def unpack_into(archive: Path, place: Path, *, progress: Progress | None = None) -> Path:
    """Unpack into a new folder that appears whole or not at all.

    Its name is `place` with the number of its files and those of what is left out.
    Raises DataError for a damaged or hostile archive.
    """
    temporary = place.parent / f".convlens-{secrets.token_hex(6)}.tmp"
    files = temporary / "files"
    try:
        with guard(files):
            files.mkdir(parents=True)
        out = _write_members(archive, files, progress)
        folder = place.with_name(f"{place.name}-{_num_files(files)}-{out.links}-{out.replaced}")
        with guard(folder):
            _move_into_place(files, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def left_out(folder: Path) -> LeftOut:
    """Of the archive that `unpack` made this folder of."""
    _, _, links, replaced = folder.name.split("-")
    return LeftOut(int(links), int(replaced))


def _unpacked(place: Path) -> Path | None:
    """The folder that was unpacked before, if no file of it is missing; it is removed where one is."""
    for folder in place.parent.glob(f"{place.name}-*-*-*"):
        if _num_files(folder) >= int(folder.name.split("-")[1]):
            return folder
        with guard(folder):
            shutil.rmtree(folder.rename(folder.with_name(f".convlens-{secrets.token_hex(6)}.tmp")))
    return None


def _num_files(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def _move_into_place(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was quicker: its files are as good
            raise


def _write_members(archive: Path, folder: Path, progress: Progress | None) -> LeftOut:
    """Write the files into `folder`, hidden ones beside it, where links find them."""
    bound = _Bound(archive, folder)
    hidden: dict[PurePosixPath, Path] = {}
    links: dict[PurePosixPath, PurePosixPath | None] = {}
    written, replaced = set[PurePosixPath](), 0

    def at(name: PurePosixPath | None) -> Path | None:
        return None if name is None else folder / name if name in written else hidden.get(name)

    for member in _members(archive):
        wanted = _is_wanted(member.name)
        name = _safe_name(member.name, archive) if wanted else _inside(member.name)
        if name is None:
            continue
        data = member.data
        if isinstance(data, str):
            named = _inside(data) if member.symbolic or not wanted else _safe_name(data, archive)
            source = None if member.symbolic or not wanted else at(named)
            if source is None:
                links[name] = named  # perhaps it comes later
            if source is None or named == name:
                continue
            data = source.open("rb")
        target = folder / name if wanted else hidden.setdefault(name, folder.parent / str(len(hidden)))
        if wanted:
            replaced += name in written
            written.add(name)
        _write(data, target, member.name, bound)
        if progress:
            progress("unpack", min(member.done, bound.archive_bytes), bound.archive_bytes, archive.name)
    lost = 0
    for name in (name for name in links if _is_wanted(str(name)) and at(name) is None):
        source = at(_end(name, links))
        if source is None:
            lost += 1
        else:
            _write(source.open("rb"), folder / name, str(name), bound)
    return LeftOut(lost, replaced)


def _end(name: PurePosixPath, links: dict[PurePosixPath, PurePosixPath | None]) -> PurePosixPath | None:
    """What a chain of links leads to; None where it leads nowhere, or round."""
    passed: set[PurePosixPath] = set()
    end: PurePosixPath | None = name
    while end in links and end not in passed:
        passed.add(end)
        end = links[end]
    return None if end in passed else end


def _write(data: IO[bytes], target: Path, name: str, bound: _Bound) -> None:
    with data, guard(target), _named(name, bound.archive):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for chunk in _chunks(data, bound.archive):
                bound.count(len(chunk))
                file.write(chunk)


@contextmanager
def _named(name: str, archive: Path) -> Iterator[None]:
    """DataError for a name that cannot be one of a file, or not beside the others: the cache is not to blame."""
    try:
        yield
    except OSError as error:
        if error.errno not in BAD_NAME:
            raise
        shown = name if len(name) <= SHOWN else name[:SHOWN] + "…"
        raise DataError(
            f"{archive} holds '{shown}', which cannot become a file: {error.strerror}; rename it there, or unpack the "
            "archive yourself and give the folder"
        ) from error


class _Bound:
    """Stops an archive that unpacks to more than a set of pictures can, or than the disk has."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self.archive = archive
        self.archive_bytes = archive.stat().st_size
        self.most = MAX_RATIO * self.archive_bytes + SMALL_BYTES
        self.room = shutil.disk_usage(folder).free - SPARE_BYTES
        self.written = 0

    def count(self, num_bytes: int) -> None:
        self.written += num_bytes
        if self.written > self.most:
            raise DataError(
                f"{self.archive} unpacks to more than {self.most / 1e6:,.0f} MB, over {MAX_RATIO} times its size; "
                f"it looks like a bomb: if it is none, unpack it yourself and give the folder"
            )
        if self.written > self.room:
            raise StorageError(
                f"cannot unpack {self.archive}: the disk of {cache_dir()} is nearly full; "
                f"free some space or set CONVLENS_CACHE to a folder on another disk"
            )


def _chunks(data: IO[bytes], archive: Path) -> Iterator[bytes]:
    try:
        while chunk := data.read(CHUNK_BYTES):
            yield chunk
    except DAMAGED as error:
        raise _damaged(archive, error) from error


def _members(archive: Path) -> Iterator[Member]:
    """The plain files of an archive, in its order."""
    members = _zip_members(archive) if _is_zip(archive) else _tar_members(archive)
    while True:
        try:
            member = next(members, None)
        except DAMAGED as error:
            raise _damaged(archive, error) from error
        if member is None:
            return
        yield member


def _is_zip(archive: Path) -> bool:
    return archive.suffix.lower() == ".zip"


def _zip_members(archive: Path) -> Iterator[Member]:
    done = 0
    with zipfile.ZipFile(archive) as file:
        members = [(info, stat.S_IFMT(info.external_attr >> 16)) for info in file.infolist() if not info.is_dir()]
        linked = any(kind == stat.S_IFLNK for _, kind in members)
        for info, kind in members:
            done += info.compress_size
            if kind == stat.S_IFLNK and info.file_size <= MAX_LINK_BYTES:
                where = PurePosixPath(info.filename).parent
                yield Member(
                    info.filename, str(where / file.read(info).decode("utf-8", "replace")), done, symbolic=True
                )
            elif kind in (0, stat.S_IFREG) and _is_kept(info.filename, linked=linked):  # 0 where Unix did not make it
                yield Member(info.filename, file.open(info), done)


def _tar_members(archive: Path) -> Iterator[Member]:
    with archive.open("rb") as raw, closing(tarfile.open(fileobj=raw, mode="r:*", tarinfo=_Header)) as file:
        while (info := file.next()) is not None:
            file.members = []  # type: ignore[attr-defined]  # else the list grows with every file
            if info.issym():
                where = PurePosixPath(info.name).parent
                yield Member(info.name, str(where / info.linkname), raw.tell(), symbolic=True)
            elif info.islnk():
                yield Member(info.name, info.linkname, raw.tell())
            elif info.isreg() and _is_kept(info.name, linked=True) and (data := file.extractfile(info)) is not None:
                yield Member(info.name, data, raw.tell())


def _is_wanted(name: str) -> bool:
    return not any((step.startswith(".") and step != "..") or step == "__MACOSX" for step in _steps(name))


def _is_kept(name: str, *, linked: bool) -> bool:
    """Whether a file is wanted, or may be what a link names: no companion of macOS is."""
    return _is_wanted(name) or (
        linked and not any(step.startswith("._") or step == "__MACOSX" for step in _steps(name))
    )


def _steps(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _inside(name: str) -> PurePosixPath | None:
    """The name as a path below the folder, None where it leads elsewhere."""
    steps: list[str] = []
    for step in _steps(name):
        if step != "..":
            steps.append(step)
        elif not steps:
            return None
        else:
            steps.pop()
    path = PurePosixPath(*steps)
    return None if not steps or path.is_absolute() or re.match("[A-Za-z]:", str(path)) or "\0" in name else path


def _safe_name(name: str, archive: Path) -> PurePosixPath:
    """The name as a path below the folder; raises DataError where it leads elsewhere."""
    path = _inside(name)
    if path is None:
        raise DataError(f"{archive} holds '{name}', a name that leads out of the folder; it is damaged or hostile")
    return path


def _size_estimate(archive: Path) -> int:
    """Bytes that unpacking will probably take: pictures hardly shrink, so a tar is taken as it is."""
    with suppress(*DAMAGED):
        if _is_zip(archive):
            with zipfile.ZipFile(archive) as file:
                promised = sum(info.file_size for info in file.infolist())
            return min(promised, MAX_RATIO * archive.stat().st_size + SMALL_BYTES)
    return archive.stat().st_size


def _damaged(archive: Path, error: Exception) -> DataError:
    reason = str(error).partition("\n")[0].rstrip(":") or type(error).__name__
    return DataError(f"{archive} cannot be unpacked: {reason}; copy or download it again")
