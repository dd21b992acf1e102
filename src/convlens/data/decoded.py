"""Decoded pixels in the user's cache, so that the next training on the same pictures decodes nothing.

An entry is a file: the pixels, then their SHA-256. Its name is a digest of all that decides about them. It appears
whole or not at all; whatever is wrong with it later, its pictures are decoded again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Any, BinaryIO

import numpy as np
import PIL
import torch

from convlens.data.images import Images
from convlens.errors import StorageError
from convlens.pictures import Preprocess
from convlens.storage import CAP_BYTES, cache_dir, guard, make_room, replacing, sha256_bytes, touch

FORMAT = 1
SUFFIX = ".u8"

Shape = tuple[int, ...]


def entry_of(
    images: Images, indices: Sequence[int] | np.ndarray, preprocess: Preprocess, *, for_crops: bool
) -> Path | None:
    """The entry for these pictures in this order; None where none is kept: no files, no hashes, beyond the cap."""
    if images.hashes is None or len(indices) == 0 or images.reader.path(int(indices[0])) is None:
        return None
    hashes = [images.hashes[int(index)] for index in indices]
    num_bytes = len(indices) * preprocess.channels * math.prod(preprocess.size)
    if None in hashes or num_bytes > CAP_BYTES:
        return None
    made_by = {"format": FORMAT, "pillow": PIL.__version__, "torch": torch.__version__}
    text = json.dumps({**made_by, "for_crops": for_crops, "hashes": hashes, **_geometry(preprocess)})
    return _folder() / f"{sha256_bytes(text.encode())[:32]}{SUFFIX}"


def read_entry(entry: Path, shape: Shape, *, resident: bool) -> np.ndarray | None:
    """The pixels, in memory or mapped; None where the entry is missing or damaged."""
    num_bytes = math.prod(shape)
    try:
        held = np.fromfile(entry, np.uint8) if resident else _mapped(entry)
    except (OSError, ValueError):
        return None
    touch(entry)
    pixels = held[:num_bytes]
    return pixels.reshape(shape) if _digest(pixels) == held[num_bytes:].tobytes() else None


def write_entry(entry: Path, pixels: np.ndarray) -> None:
    """Keep what was decoded; a cache that cannot be written is no reason to stop."""
    with suppress(StorageError, OSError):
        make_room(pixels.nbytes)
        with replacing(entry, lasting=False) as temporary, temporary.open("xb") as file:
            file.write(pixels.data)
            file.write(_digest(pixels))
        touch(entry)


def decode_into_entry(entry: Path, shape: Shape, fill: Callable[[np.ndarray], None]) -> np.ndarray:
    """What `fill` writes, mapped from the cache; raises StorageError where the cache has no place for it."""
    make_room(math.prod(shape))
    with replacing(entry, lasting=False) as temporary:
        with temporary.open("xb") as file:
            _reserve(file, math.prod(shape))
        pixels = np.memmap(temporary, np.uint8, "r+", shape=shape)
        fill(pixels)
        with temporary.open("ab") as file:
            file.write(_digest(pixels))
        del pixels  # Windows renames no file that is mapped
    touch(entry)
    return _mapped(entry)[: math.prod(shape)].reshape(shape)


def unnamed_map(shape: Shape) -> np.ndarray:
    """Room on the disk that lasts as long as the array: in the cache, else among the temporary files."""
    try:
        make_room(math.prod(shape))
        with guard(_folder()):
            _folder().mkdir(parents=True, exist_ok=True)
            return _map_in(_folder(), shape)
    except StorageError:
        with suppress(OSError):
            return _map_in(Path(gettempdir()), shape)
        raise


def _mapped(entry: Path) -> np.ndarray:
    """Shared, for a private map may not be larger than the memory; nothing writes to it."""
    try:
        return np.memmap(entry, np.uint8, "r+")
    except OSError:  # a cache that is only read
        return np.memmap(entry, np.uint8, "c")


def _map_in(folder: Path, shape: Shape) -> np.ndarray:
    with TemporaryFile(dir=folder) as file:
        _reserve(file, math.prod(shape))
        return np.memmap(file, np.uint8, "r+", shape=shape)


def _reserve(file: BinaryIO | Any, num_bytes: int) -> None:
    """Take the room now: a disk that is full later would end the process as it writes to the map."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, num_bytes)
    else:
        file.truncate(num_bytes)


def _geometry(preprocess: Preprocess) -> dict[str, Any]:
    """What of a preprocessing decides about pixels: not how they are normalised; the mean is a letterbox's ground."""
    told = preprocess.to_dict()
    return {name: told[name] for name in told if name != "std" and (name != "mean" or preprocess.fit == "letterbox")}


def _digest(pixels: np.ndarray) -> bytes:
    return hashlib.sha256(pixels.data).digest()


def _folder() -> Path:
    return cache_dir() / "pixels"
