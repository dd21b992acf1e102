"""IDX files, the format of MNIST: train-images-idx3-ubyte[.gz] and its three companions.

A file is two zero bytes, a type (8 = uint8), the number of axes, each axis as a big-endian 32-bit number, the values.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from convlens.data.images import Images, counts_of, images_of_arrays
from convlens.errors import DataError, counted

FILE_NAME = re.compile(
    r"(?!\.)(?P<set>.*?)(?P<part>train|val|t10k|test)[-_.]?(?P<what>images|labels)[-_.]idx[13]-ubyte(\.gz)?"
)
PARTS = {"train": "train", "val": "val", "t10k": "test", "test": "test"}
UINT8 = 8
GZIP_RATIO = 1100  # gzip cannot shrink further than about 1,032 times

FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
CLASS_NAMES = {"fashionmnist": FASHION}  # by name of the set without marks; other sets use their label numbers

Files = dict[str, dict[str, Path]]  # part -> "images" and "labels" -> file


def find_idx(folder: Path) -> Files:
    """The IDX files that lie in this folder; empty where there are none. Raises DataError for several sets."""
    files: Files = {}
    sets = set()
    for path in sorted(folder.iterdir(), reverse=True):  # "….gz" before "…": the plain file wins
        if match := FILE_NAME.fullmatch(path.name):
            files.setdefault(PARTS[match["part"]], {})[match["what"]] = path
            sets.add(match["set"])
    if len(sets) > 1:
        raise DataError(
            f"{folder} holds the IDX files of {len(sets)} sets ({', '.join(sorted(sets))}); "
            f"expected one: move each set into a folder of its own"
        )
    return {part: files[part] for part in ("train", "val", "test") if part in files}


def open_idx(files: Files, *, name: str, source: str) -> Images:
    """Files of `find_idx` -> Images; raises DataError where a file is missing or not what its header says."""
    pictures, numbers = {}, {}
    for part, pair in files.items():
        if missing := {"images", "labels"} - pair.keys():
            there = next(iter(pair.values()))
            raise DataError(f"{there} has no {missing.pop()} file beside it; expected images and labels in pairs")
        pictures[part] = read_idx(pair["images"], axes=3)
        numbers[part] = read_idx(pair["labels"], axes=1)
        if len(pictures[part]) != len(numbers[part]):
            raise DataError(
                f"{pair['images']} has {counted(len(pictures[part]), 'picture')} and {pair['labels'].name} "
                f"{counted(len(numbers[part]), 'label')}; expected as many of each"
            )
    classes, labels = classes_of_numbers(numbers, CLASS_NAMES.get(re.sub("[^a-z0-9]", "", name.lower()), ()))
    notes = [f"{counts_of(pictures)} (IDX)"]
    return images_of_arrays(pictures, labels, classes, name=name, source=source, notes=notes)


def classes_of_numbers(
    numbers: Mapping[str, NDArray[np.integer]], names: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Label numbers per part -> (class names, class index per part); numbers that never occur are no classes."""
    present = np.unique(np.concatenate(list(numbers.values())))
    fits = len(present) > 0 and present.min() >= 0 and present.max() < len(names)
    classes = tuple(names) if fits else tuple(str(number) for number in present)
    lookup = np.arange(len(names)) if fits else present
    return classes, {part: np.searchsorted(lookup, values).astype(np.int64) for part, values in numbers.items()}


def read_idx(path: Path, *, axes: int) -> NDArray[np.uint8]:
    """An IDX file of uint8 values -> array with that many axes; raises DataError, naming file and fault."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            shape = _read_header(file, path, axes)
            count = math.prod(shape)
            at_most = path.stat().st_size * (GZIP_RATIO if path.suffix == ".gz" else 1)
            values = file.read(count + 1) if count <= at_most else b""
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}; copy or download it again") from error
    if len(values) != count:
        arrived = "more" if len(values) > count else f"{len(values):,}" if values else "fewer"
        raise DataError(
            f"{path} promises {' x '.join(map(str, shape))} = {count:,} values and holds {arrived}; "
            f"copy or download it again"
        )
    return np.frombuffer(values, np.uint8).reshape(shape)


def _read_header(file: BinaryIO | gzip.GzipFile, path: Path, axes: int) -> tuple[int, ...]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] != UINT8 or start[3] != axes:
        raise DataError(
            f"{path} starts with {start.hex(' ') or 'nothing'}; expected 00 00 08 {axes:02x}, "
            f"an IDX file of uint8 values with {axes} {'axes' if axes > 1 else 'axis'}"
        )
    lengths = file.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise DataError(f"{path} ends within its header; copy or download it again")
    shape = struct.unpack(f">{axes}I", lengths)
    if 0 in shape:
        raise DataError(f"{path} holds {' x '.join(map(str, shape))} values: nothing; expected pictures")
    return shape
