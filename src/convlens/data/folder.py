"""A folder of pictures: a class per subfolder, with or without train, val and test above the classes.

    flowers/daisy/1.jpg            the part is chosen later, by seed
    flowers/train/daisy/1.jpg      train, val (valid, validation, dev) and test are kept, and train_set as train

Subfolders below a class belong to that class; where they look like classes, or parts, a note says so. Hidden files are
ignored, files that are no pictures are counted in the notes, and a file whose name promises a picture is kept, so that
the scan finds it where it is unreadable. Nothing is ever written here.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from convlens.data.images import FileReader, Images, class_named, part_named
from convlens.data.table import CSV_SUFFIXES, PARQUET_SUFFIXES
from convlens.errors import DataError, UsageError, counted, listed

LAYOUT = "a folder per class (SOURCE/daisy/1.jpg, SOURCE/rose/2.jpg), or those within train, val and test"

# Pillow registers these too, but no one means them as pictures to learn from
NO_PICTURES = {".bufr", ".emf", ".eps", ".fit", ".fits", ".grib", ".h5", ".hdf", ".mpeg", ".mpg", ".pdf", ".ps", ".wmf"}
TEXTS = {
    ".cfg",
    ".csv",
    ".db",
    ".html",
    ".ini",
    ".json",
    ".log",
    ".md",
    ".toml",
    ".tsv",
    ".txt",
    ".xml",
    ".yaml",
    ".yml",
}
SYSTEM_NAMES = {"__MACOSX", "lost+found", "$RECYCLE.BIN", "System Volume Information", "@eaDir", "Thumbs.db"}


@dataclass
class Found:
    """What a walk over the folder collects."""

    paths: list[Path] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)  # per picture
    parts: list[str] = field(default_factory=list)  # per picture
    folders: set[str] = field(default_factory=set)  # classes with a folder, empty ones too
    skipped: Counter[str] = field(default_factory=Counter)  # suffixes of files that are no pictures
    loose: Counter[str] = field(default_factory=Counter)  # folders with pictures that have no class folder
    deep: list[Path] = field(default_factory=list)  # folders of classes whose pictures are all further down
    notes: list[str] = field(default_factory=list)


def open_class_folders(root: Path, *, name: str, source: str) -> Images:
    """Pictures in class folders -> Images, sorted by part, class and path; raises DataError where there are none."""
    found = Found()
    parts = list(_parts_of(root, found))
    for part, folder in parts:
        _collect_part(folder, part, found)
    if parts != [("", root)] and (loose := _loose(root)):
        found.loose[root.name] = loose
    found.notes.extend(_doubts(found.deep, root))
    if not found.paths:
        raise DataError(_nothing_found(root, found))
    classes = sorted(set(found.classes))
    number = {label: index for index, label in enumerate(classes)}
    return Images(
        name=name,
        source=source,
        classes=tuple(classes),
        labels=np.array([number[label] for label in found.classes], np.int64),
        reader=FileReader(found.paths, [_readable(path.relative_to(root).as_posix()) for path in found.paths]),
        parts=tuple(found.parts) if any(found.parts) else None,
        notes=tuple(_notes(found, len(classes))),
        empty_classes=tuple(sorted(found.folders - set(classes))),
    )


def list_pictures(where: str | Path) -> tuple[Path, ...]:
    """The pictures that a file, a folder (with its subfolders) or a pattern like "photos/*.jpg" means, sorted.

    A file that is named itself is taken whatever its suffix. Raises UsageError where nothing is found.
    """
    path = Path(where).expanduser()
    if path.is_file():
        return (path,)
    if path.is_dir():
        pictures = tuple(_walk(path, Counter(), set()))
        remedy = f"expected files like {', '.join(sorted(picture_suffixes() & {'.jpg', '.png', '.webp', '.tif'}))}"
    else:
        matches = (Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute patterns too
        pictures = tuple(sorted(match for match in matches if match.is_file() and is_picture_name(match)))
        remedy = "give a picture, a folder or a quoted pattern like 'photos/*.jpg'"
    if not pictures:
        raise UsageError(f"no pictures in {where}; {remedy}")
    return pictures


def is_picture_name(path: Path) -> bool:
    return path.suffix.lower() in picture_suffixes()


@lru_cache
def picture_suffixes() -> frozenset[str]:
    """The suffixes of the formats that the installed Pillow reads: ".jpg", ".png", ..."""
    from PIL import Image

    suffixes = Image.registered_extensions()
    return frozenset(suffix for suffix, form in suffixes.items() if form in Image.OPEN) - NO_PICTURES | {".mpo"}


def visible_folders(folder: Path) -> list[Path]:
    """The subfolders that are neither hidden nor the system's own, sorted."""
    return [Path(entry.path) for entry in _entries(folder) if _is_folder(entry)]


def visible_files(folder: Path) -> list[Path]:
    """What else lies in a folder, neither hidden nor the system's own, sorted."""
    return [Path(entry.path) for entry in _entries(folder) if not _is_folder(entry)]


def _parts_of(root: Path, found: Found) -> Iterator[tuple[str, Path]]:
    """(part, folder with class folders); one ("", root) where the source is not divided.

    It is divided when all subfolders are named as parts, or train and another part are among them: one class may
    well be called "train", beside "bus" and "car".
    """
    folders = visible_folders(root)
    part_of = {folder: part_named(folder.name) for folder in folders}
    named = set(part_of.values()) - {""}
    divided = named and (all(part_of.values()) or ("train" in named and len(named) > 1))
    if not divided:
        yield "", root
        return
    for part in ("train", "val", "test"):
        yield from ((part, folder) for folder in folders if part_of[folder] == part)
    if others := [folder.name for folder in folders if not part_of[folder]]:
        found.notes.append(f"ignored beside train, val and test: {', '.join(others)}")


def _collect_part(folder: Path, part: str, found: Found) -> None:
    above = {_identity(folder), _identity(folder.parent)}  # a link up there would bring the other classes
    for class_folder in visible_folders(folder):
        label = class_named(_readable(class_folder.name))
        found.folders.add(label)
        pictures = list(_walk(class_folder, found.skipped, set(above)))
        found.paths += pictures
        found.classes += [label] * len(pictures)
        found.parts += [part] * len(pictures)
        if pictures and all(path.parent != class_folder for path in pictures):
            found.deep.append(class_folder)
    if loose := _loose(folder):
        found.loose[folder.name] = loose


def _loose(folder: Path) -> int:
    return sum(_is_file(entry) and is_picture_name(Path(entry.name)) for entry in _entries(folder))


def _doubts(above: list[Path], root: Path) -> Iterator[str]:
    """What was perhaps meant otherwise, of class folders whose pictures are all further down."""
    within = [{one.name for one in visible_folders(folder)} for folder in above]
    shared = sorted(set.intersection(*within)) if len(within) > 1 else []
    if len(shared) > 1:
        named, inner = ", ".join(sorted({one.name for one in above})[:5]), ", ".join(shared[:5])
        if any(part_named(name) == "train" for name in shared):
            yield f"{inner} below the classes are not taken as parts; put them above: SOURCE/train/{above[0].name}"
        else:
            yield (
                f"{named} are taken as classes, and all hold the folders {inner}; if those are the classes, "
                f"name what is above them train, val or test, or give one of it: SOURCE/{above[0].relative_to(root)}"
            )
    yield from tables_beside(root)


def tables_beside(root: Path) -> Iterator[str]:
    """A note of the tables that lie beside the folders."""
    tables = [entry.name for entry in _entries(root) if entry.name.lower().endswith(CSV_SUFFIXES + PARQUET_SUFFIXES)]
    if tables:
        remedy = "give the table itself, not its folder or archive, if it names the classes"
        yield f"{listed(tables)} beside the folders: not read; {remedy}"


def _walk(folder: Path, skipped: Counter[str], visited: set[tuple[int, int]]) -> Iterator[Path]:
    """Pictures below a folder, sorted by path; each real folder once, so that a loop of links ends."""
    if _identity(folder) in visited:
        return
    visited.add(_identity(folder))
    for entry in _entries(folder):
        path = Path(entry.path)
        if _is_folder(entry):
            yield from _walk(path, skipped, visited)
        elif _is_file(entry) and is_picture_name(path):
            yield path
        elif path.suffix.lower() not in TEXTS:
            skipped[path.suffix.lower() or "no suffix"] += 1


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".") and entry.name not in SYSTEM_NAMES]
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror}; check its permissions") from error
    return sorted(visible, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """A file or a dangling link, which the scan will list; no pipe or device, which would block."""
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:
        return True


def _readable(name: str) -> str:
    """A file name as text that can be printed and stored: bytes that are not UTF-8 become \\xff."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _notes(found: Found, num_classes: int) -> Iterator[str]:
    yield f"{counted(len(found.paths), 'picture')} in {counted(num_classes, 'class', 'classes')} (folders)"
    yield from found.notes
    for folder, count in found.loose.items():
        yield f"{counted(count, 'picture')} directly in {folder}, in no class folder: ignored"
    if found.skipped:
        kinds = ", ".join(f"{suffix} {count:,}" for suffix, count in found.skipped.most_common(5))
        yield f"{counted(found.skipped.total(), 'file')} without a picture's suffix: ignored ({kinds})"


def _nothing_found(root: Path, found: Found) -> str:
    if found.loose:
        return f"{root} holds {counted(found.loose.total(), 'picture')} without class folders; expected {LAYOUT}"
    if found.folders:
        return f"the folders of {root} ({', '.join(sorted(found.folders)[:5])}) hold no pictures; expected {LAYOUT}"
    return f"{root} holds no pictures; expected {LAYOUT}"
