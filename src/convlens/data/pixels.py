"""Decoded pictures: resident as uint8 up to a quarter of the memory, else a memory map in the user's cache."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convlens.data.decoded import decode_into_entry, entry_of, read_entry, unnamed_map, write_entry
from convlens.data.images import ArrayReader, Images
from convlens.data.threads import usable_cpus
from convlens.errors import StorageError, counted
from convlens.pictures import Preprocess

Progress = Callable[[str, int, int, str], None]
Fill = Callable[[np.ndarray], None]
CHUNK = 256  # pictures between two reports of progress
PIECE = 8  # pictures that a thread takes at a time
WORTH_S = 2.0  # of decoding; what takes less is not kept in the cache


def decode_pixels(
    images: Images,
    indices: Sequence[int] | np.ndarray,
    preprocess: Preprocess,
    *,
    for_crops: bool = False,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> Tensor:
    """Pictures -> (N, C, H, W) uint8 tensor at the geometry of `preprocess`, in the order of `indices`.

    `for_crops`: crops will be drawn from them and resized again, so a large JPEG is decoded no larger than it must be,
    and channels lie side by side. Pictures in files whose hashes are known come from the user's cache, where they are
    kept if decoding took long; `tell` then says so.
    """
    height, width = preprocess.size
    channels = preprocess.channels
    shape = (len(indices), height, width, channels) if for_crops else (len(indices), channels, height, width)
    resident = math.prod(shape) <= memory_bytes() // 4
    entry = entry_of(images, indices, preprocess, for_crops=for_crops)
    if entry is not None and (held := read_entry(entry, shape, resident=resident)) is not None:
        pixels = held
        if tell:
            tell(f"{counted(len(indices), 'decoded picture')} of {width}×{height} px from the cache {entry.parent}")
    else:
        fill = _filling(images, indices, preprocess, for_crops, progress)
        pixels = _decoded(shape, entry, fill, resident=resident)
    seen = torch.from_numpy(pixels)
    return seen.permute(0, 3, 1, 2) if for_crops else seen


def _decoded(shape: tuple[int, ...], entry: Path | None, fill: Fill, *, resident: bool) -> np.ndarray:
    """What `fill` writes, kept in the cache where there is an entry for it."""
    if not resident:
        if entry is not None:
            with suppress(StorageError):
                return decode_into_entry(entry, shape, fill)
        pixels = unnamed_map(shape)
        fill(pixels)
        return pixels
    pixels = np.empty(shape, np.uint8)
    began = time.monotonic()
    fill(pixels)
    if entry is not None and time.monotonic() - began > WORTH_S:
        write_entry(entry, pixels)
    return pixels


def _filling(
    images: Images,
    indices: Sequence[int] | np.ndarray,
    preprocess: Preprocess,
    for_crops: bool,
    progress: Progress | None,
) -> Fill:
    """What decodes the pictures, with threads, into an array of their shape."""
    short_side = preprocess.decode_side // 2 if for_crops else preprocess.decode_side
    look = preprocess.pixels_for_crops if for_crops else preprocess.pixels

    def fill(pixels: np.ndarray) -> None:
        def decode_some(first: int) -> None:
            for place in range(first, min(first + PIECE, len(indices))):
                pixels[place] = look(images.reader.read(int(indices[place]), short_side=short_side))

        if _take_as_they_are(images, indices, preprocess, pixels.transpose(0, 3, 1, 2) if for_crops else pixels):
            return
        with ThreadPoolExecutor(usable_cpus()) as threads:
            for start in range(0, len(indices), CHUNK):
                stop = min(start + CHUNK, len(indices))
                list(threads.map(decode_some, range(start, stop, PIECE)))
                if progress:
                    progress("decode", stop, len(indices), "")

    return fill


def _take_as_they_are(
    images: Images, indices: Sequence[int] | np.ndarray, preprocess: Preprocess, pixels: np.ndarray
) -> bool:
    """Arrays of which whole pixels are seen need no resizing, only a window and another order of axes."""
    if not isinstance(images.reader, ArrayReader):
        return False
    for start in range(0, len(indices), 16 * CHUNK):
        held = images.reader.stacked(indices[start : start + 16 * CHUNK])
        channels = 1 if held is None or held.ndim == 3 else held.shape[3]
        if held is None or channels != preprocess.channels:
            return False
        window = preprocess.geometry(*held.shape[1:3]).whole_pixels
        if window is None:
            return False
        held = held[:, window[0], window[1]]
        rows = held[:, None] if held.ndim == 3 else held.transpose(0, 3, 1, 2)
        pixels[start : start + len(rows)] = rows
    return True


def memory_bytes() -> int:
    """Memory that this process may use: the machine's, or the container's where that is less."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 << 30
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return total
    return total if limit == "max" else min(total, int(limit))


def mean_and_std(pixels: Tensor, *, at_most: int = 2000) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(N, C, H, W) uint8 -> mean and standard deviation per channel in 0..1, over evenly spaced pictures."""
    counts = np.zeros((pixels.shape[1], 256), np.int64)
    for index in np.linspace(0, len(pixels) - 1, min(at_most, len(pixels))).round().astype(int):
        for channel, values in enumerate(pixels[index].numpy()):
            counts[channel] += np.bincount(values.ravel(), minlength=256)
    shares, levels = counts / counts.sum(axis=1, keepdims=True), np.arange(256) / 255
    mean = shares @ levels
    std = np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(axis=1))
    return (
        tuple(round(m, 4) for m in mean.tolist()),
        tuple(max(round(s, 4), 1e-3) for s in std.tolist()),  # a constant channel is not divided by zero
    )
