"""Labelled pictures that are not yet decoded: what every source opens as.

Shapes: N pictures, H rows, W columns.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from convlens.errors import UsageError, counted

PARTS = ("train", "val", "test")
PART_NAMES = {  # what people call them
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "dev": "val",
}


def class_named(text: str) -> str:
    """A class's name, with accents composed: macOS stores the names of folders decomposed."""
    return unicodedata.normalize("NFC", text)


def part_named(name: str) -> str:
    """The part that a folder's name means, "train" of "Training_set"; "" for none."""
    return PART_NAMES.get(name.lower().removesuffix("set").rstrip("_- "), "")


class Reader(Protocol):
    """Pictures by index."""

    def __len__(self) -> int: ...

    def key(self, index: int) -> str:
        """A stable name for people: the path relative to the source, or "train/00012"."""
        ...

    def path(self, index: int) -> Path | None:
        """The file, where there is one."""
        ...

    def read(self, index: int, *, short_side: int | None = None) -> NDArray[np.uint8]:
        """uint8 (H, W) or (H, W, 3); raises PictureError."""
        ...


@dataclass(frozen=True)
class Images:
    """Labelled pictures of one source, in a fixed order."""

    name: str  # "mnist", "flowers"
    source: str  # what the user gave
    classes: tuple[str, ...]
    labels: NDArray[np.int64]  # (N,) indices of classes; -1 = unlabelled
    reader: Reader
    parts: tuple[str, ...] | None  # per picture "train", "val" or "test" where the source has its own division
    notes: tuple[str, ...] = ()  # one-line facts to print
    empty_classes: tuple[str, ...] = ()  # class folders without a picture; they are not among `classes`
    hashes: tuple[str | None, ...] | None = None  # of the contents, once scanned; under them decoded pixels are kept
    groups: tuple[str, ...] | None = None  # what must not lie in two parts, such as a patient's pictures; "" = alone

    def __post_init__(self) -> None:
        assert len(self.labels) == len(self.reader)
        assert self.parts is None or len(self.parts) == len(self.reader)
        assert self.hashes is None or len(self.hashes) == len(self.reader)
        assert self.groups is None or len(self.groups) == len(self.reader)

    def __len__(self) -> int:
        return len(self.reader)

    def subset(self, indices: Iterable[int]) -> Images:
        """The pictures at `indices`, in that order, or where a mask of N bools is true; the classes stay."""
        chosen = _chosen(indices, len(self))
        parts = None if self.parts is None else tuple(self.parts[i] for i in chosen)
        hashes = None if self.hashes is None else tuple(self.hashes[i] for i in chosen)
        groups = None if self.groups is None else tuple(self.groups[i] for i in chosen)
        reader = SubsetReader(self.reader, chosen)
        return replace(self, labels=self.labels[chosen], reader=reader, parts=parts, hashes=hashes, groups=groups)


class FileReader:
    """Picture files, decoded when they are read."""

    def __init__(self, paths: Sequence[Path], keys: Sequence[str]) -> None:
        assert len(paths) == len(keys)
        self._paths = tuple(paths)
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._paths)

    def key(self, index: int) -> str:
        return self._keys[index]

    def path(self, index: int) -> Path | None:
        return self._paths[index]

    def read(self, index: int, *, short_side: int | None = None) -> NDArray[np.uint8]:
        from convlens.pictures import decode

        return decode(self._paths[index], short_side=short_side)


class ArrayReader:
    """Pictures held as uint8 arrays (N, H, W), (N, H, W, 1) or (N, H, W, 3), one for each part.

    The key is "train/00012", or "00012" for the part "".
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.uint8]]) -> None:
        assert all(array.dtype == np.uint8 and array.ndim in (3, 4) for array in arrays.values())
        self._arrays = dict(arrays)
        self._where = [(part, index) for part, array in self._arrays.items() for index in range(len(array))]

    def __len__(self) -> int:
        return len(self._where)

    def key(self, index: int) -> str:
        part, offset = self._where[index]
        return f"{part}/{offset:05d}" if part else f"{offset:05d}"

    def path(self, index: int) -> Path | None:
        return None

    def read(self, index: int, *, short_side: int | None = None) -> NDArray[np.uint8]:
        """The picture at full size: `short_side` only saves work where something is decoded."""
        part, offset = self._where[index]
        picture = self._arrays[part][offset]
        return np.ascontiguousarray(picture[..., 0] if picture.ndim == 3 and picture.shape[-1] == 1 else picture)

    def stacked(self, indices: Iterable[int]) -> NDArray[np.uint8] | None:
        """The pictures at `indices` as one array, where all parts have pictures of one shape."""
        shapes = {array.shape[1:] for array in self._arrays.values()}
        if len(shapes) != 1:
            return None
        offsets = dict(zip(self._arrays, np.cumsum([0, *map(len, self._arrays.values())]), strict=False))
        chosen = _chosen(indices, len(self))
        found = np.empty((len(chosen), *shapes.pop()), np.uint8)
        for part, array in self._arrays.items():
            inside = (chosen >= offsets[part]) & (chosen < offsets[part] + len(array))
            found[inside] = array[chosen[inside] - offsets[part]]
        return found[..., 0] if found.ndim == 4 and found.shape[-1] == 1 else found


class SubsetReader:
    """Some pictures of another reader, in the order given."""

    def __init__(self, reader: Reader, indices: NDArray[np.int64]) -> None:
        self._reader = reader
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def key(self, index: int) -> str:
        return self._reader.key(int(self._indices[index]))

    def path(self, index: int) -> Path | None:
        return self._reader.path(int(self._indices[index]))

    def read(self, index: int, *, short_side: int | None = None) -> NDArray[np.uint8]:
        return self._reader.read(int(self._indices[index]), short_side=short_side)


def _chosen(indices: Iterable[int], num_pictures: int) -> NDArray[np.int64]:
    """Indices as they are, a mask of `num_pictures` bools as the indices where it is true; UsageError otherwise."""
    given = indices if isinstance(indices, np.ndarray) else list(indices)
    found = np.asarray(given) if len(given) else np.empty(0, np.int64)
    if found.dtype == bool and found.shape == (num_pictures,):
        return np.flatnonzero(found)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise UsageError(
            f"{found.dtype} {found.shape} came to choose among {counted(num_pictures, 'picture')}; expected whole "
            f"numbers, or a mask of {num_pictures:,} bools"
        )
    return found.astype(np.int64)


def images_of_arrays(
    pictures: Mapping[str, NDArray[np.uint8]],
    labels: Mapping[str, NDArray[np.int64]],
    classes: Sequence[str],
    *,
    name: str,
    source: str,
    notes: Sequence[str],
) -> Images:
    """{part: (N, H, W[, C])} and {part: (N,)} -> Images; the single part "" means that nothing divides them."""
    return Images(
        name=name,
        source=source,
        classes=tuple(classes),
        labels=np.concatenate([labels[part] for part in pictures]).astype(np.int64),
        reader=ArrayReader(pictures),
        parts=None if "" in pictures else tuple(part for part in pictures for _ in range(len(pictures[part]))),
        notes=tuple(notes),
    )


def counts_of(pictures: Mapping[str, NDArray[np.uint8]]) -> str:
    """How many pictures each part has: "60,000 + 10,000 pictures"."""
    counts = [len(array) for array in pictures.values()]
    return counted(counts[0], "picture") if len(counts) == 1 else " + ".join(f"{n:,}" for n in counts) + " pictures"
