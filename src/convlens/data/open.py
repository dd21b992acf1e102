"""`open_images`: any source of labelled pictures, told apart by what it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from convlens.data.archive import SUFFIXES as ARCHIVE_SUFFIXES
from convlens.data.archive import left_out, unpack
from convlens.data.cifar import find_cifar, open_cifar
from convlens.data.folder import (
    TEXTS,
    is_picture_name,
    open_class_folders,
    tables_beside,
    visible_files,
    visible_folders,
)
from convlens.data.idx import find_idx, open_idx
from convlens.data.images import Images, part_named
from convlens.data.named import NAMED, SETS, open_named
from convlens.data.npz import open_npz
from convlens.data.table import CSV_SUFFIXES, PARQUET_SUFFIXES, open_table
from convlens.errors import DataError, UsageError, counted, listed, unknown_name

Progress = Callable[[str, int, int, str], None]

READ_ME = {".rst", ".pdf"}  # beside the folder that an archive wraps its pictures in
KINDS = "a folder, a CSV or Parquet table, a zip or tar of a folder, IDX or CIFAR files, an NPZ"


def open_images(source: str | Path, *, data_dir: str | Path | None = None, progress: Progress | None = None) -> Images:
    """A path or a name of NAMED -> Images, in a fixed order, nothing decoded.

    Kinds: a folder with a folder per class (with or without train, val, test), with IDX files or with CIFAR binary
    batches; a CSV or Parquet table of path and label; a zip or tar of such a folder; an NPZ. Names are looked for in
    `data_dir` and the cache, then downloaded. A name wins over a folder of that name: write ./mnist for the folder.
    Raises UsageError where there is no such source, DataError where it does not hold labelled pictures.
    """
    if isinstance(source, str) and source in NAMED:
        images = open_named(source, data_dir=data_dir, progress=progress)
        shadowed = f"'{source}' is the named set; write .{os.sep}{source} for the folder here"
        return replace(images, notes=(*images.notes, shadowed)) if Path(source).exists() else images
    if not isinstance(source, str | Path) or not str(source):
        came = repr(source) if isinstance(source, str) or source is None else type(source).__name__
        raise UsageError(f"the source came as {came}; expected {KINDS}, or one of {', '.join(NAMED)}")
    path = Path(source).expanduser()
    if path.is_dir():
        return _open_folder(path, name=path.resolve().name, source=str(source))
    if path.is_file():
        return _open_file(path, source=str(source), progress=progress)
    if path.name == str(source) and not path.suffix:
        remedy = f"give one of {', '.join(NAMED)}, or the path of {KINDS}"
        raise unknown_name("data set, file or folder", str(source), NAMED, remedy)
    raise UsageError(f"there is no file or folder {source}; expected {KINDS}, or one of {', '.join(NAMED)}")


def _open_folder(folder: Path, *, name: str, source: str) -> Images:
    try:
        for place in _idx_places(folder):
            if files := find_idx(place):
                images = open_idx(files, name=name if place == folder else place.name, source=source)
                return _beside(images, place, "the IDX files")
        if batches := find_cifar(folder):
            images = open_cifar(batches, name=name, source=source)
            return _beside(images, batches[1], "CIFAR's batches")
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror}; check its permissions") from error
    return open_class_folders(folder, name=name, source=source)


def _beside(images: Images, folder: Path, what: str) -> Images:
    """With a note of the folders that lie beside the files that were read."""
    others = [other.name for other in visible_folders(folder)]
    note = f"folders beside {what}: not read ({listed(others)})"
    return replace(images, notes=(*images.notes, note)) if others else images


def _idx_places(folder: Path) -> list[Path]:
    """The folder itself, and its only subfolder where that is named as a set is."""
    names = {"raw"} | {name for wanted in SETS for name in wanted.folders}
    inside = visible_folders(folder)
    return [folder, *(inside if len(inside) == 1 and inside[0].name in names else [])]


def _open_file(file: Path, *, source: str, progress: Progress | None) -> Images:
    kind, name = file.name.lower(), file.name.split(".")[0]
    if kind.endswith(CSV_SUFFIXES + PARQUET_SUFFIXES):
        return open_table(file, name=name, source=source)
    if kind.endswith(".npz"):
        return open_npz(file, name=name, source=source)
    if kind.endswith(ARCHIVE_SUFFIXES):
        return _open_archive(file, name=name, source=source, progress=progress)
    if "-ubyte" in kind or kind.endswith(".bin"):  # one file of a set means the set
        return _open_folder(file.parent, name=file.absolute().parent.name, source=source)
    what = "one picture" if is_picture_name(file) else f"a file of the kind '{file.suffix}'"
    raise UsageError(f"{source} is {what}; expected {KINDS}, or one of {', '.join(NAMED)}")


def _open_archive(archive: Path, *, name: str, source: str, progress: Progress | None) -> Images:
    unpacked = unpack(archive, progress=progress)
    folder, out = _single_folder(unpacked), left_out(unpacked)
    links = counted(out.links, "link")
    try:
        images = _open_folder(folder, name=name, source=source)
    except DataError as error:  # its paths are in the cache: say what they come from
        also = f"; {links} to files that are not in it" if out.links else ""
        raise DataError(f"{source}, unpacked: {error}{also}") from error
    notes = [f"{links} to what is no file of the archive: left out"] if out.links else []
    if out.replaced:
        notes.append(f"{counted(out.replaced, 'file')} of a name that comes again in the archive: the last is taken")
    notes += [] if folder == unpacked else tables_beside(unpacked)
    return replace(images, notes=(*images.notes, *notes))


def _single_folder(folder: Path) -> Path:
    """Step into the one folder that most archives wrap everything in; a lone part or class is no wrapping."""
    while True:
        inside = visible_folders(folder)
        wrapped = len(inside) == 1 and not part_named(inside[0].name) and all(map(_is_aside, visible_files(folder)))
        if not wrapped or any(is_picture_name(path) for path in inside[0].iterdir()):
            return folder
        folder = inside[0]


def _is_aside(file: Path) -> bool:
    """Whether a file may lie beside the folder that an archive wraps its pictures in: a README, LICENSE or table."""
    kind = file.suffix.lower()
    return kind in TEXTS | READ_ME | {*PARQUET_SUFFIXES} or (not kind and "-ubyte" not in file.name.lower())
