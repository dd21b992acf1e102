"""Decoded pictures: resident as uint8 up to a quarter of the memory, else a memory map in the user's cache."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convlens.data.images import ArrayReader, Images
from convlens.data.threads import usable_cpus
from convlens.pictures import Preprocess
from convlens.storage import cache_dir, guard, make_room

Progress = Callable[[str, int, int, str], None]
CHUNK = 256  # pictures between two reports of progress


def decode_pixels(
    images: Images,
    indices: Sequence[int] | np.ndarray,
    preprocess: Preprocess,
    *,
    interleaved: bool = False,
    progress: Progress | None = None,
) -> Tensor:
    """Pictures -> (N, C, H, W) uint8 tensor at the geometry of `preprocess`, in the order of `indices`.

    `interleaved` keeps a pixel's three channels side by side in memory (channels_last), for random crops.
    """
    count, channels, size = len(indices), preprocess.channels, preprocess.size
    if interleaved and channels > 1:
        pixels = _room_for((count, *size, channels)).transpose(0, 3, 1, 2)
    else:
        pixels = _room_for((count, channels, *size))
    if _take_as_they_are(images, indices, preprocess, pixels):
        return torch.from_numpy(pixels)
    short_side = preprocess.decode_side

    def decode_one(place: int) -> None:
        pixels[place] = preprocess.pixels(images.reader.read(int(indices[place]), short_side=short_side))

    with ThreadPoolExecutor(usable_cpus()) as threads:
        for start in range(0, len(indices), CHUNK):
            stop = min(start + CHUNK, len(indices))
            list(threads.map(decode_one, range(start, stop)))
            if progress:
                progress("decode", stop, len(indices), "")
    return torch.from_numpy(pixels)


def _take_as_they_are(
    images: Images, indices: Sequence[int] | np.ndarray, preprocess: Preprocess, pixels: np.ndarray
) -> bool:
    """Arrays of the right size and channels need no geometry, only another order of axes."""
    if not isinstance(images.reader, ArrayReader) or preprocess.crop_ratio != 1:
        return False
    for start in range(0, len(indices), 16 * CHUNK):
        held = images.reader.stacked(indices[start : start + 16 * CHUNK])
        channels = 1 if held is None or held.ndim == 3 else held.shape[3]
        if held is None or held.shape[1:3] != preprocess.size or channels != preprocess.channels:
            return False
        rows = held[:, None] if held.ndim == 3 else held.transpose(0, 3, 1, 2)
        pixels[start : start + len(rows)] = rows
    return True


def _room_for(shape: tuple[int, ...]) -> np.ndarray:
    num_bytes = int(np.prod(shape, dtype=np.int64))
    if num_bytes <= memory_bytes() // 4:
        return np.empty(shape, np.uint8)
    path = cache_dir() / "pixels" / f"{secrets.token_hex(8)}.u8"
    with guard(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        make_room(num_bytes)
        pixels = np.memmap(path, np.uint8, "w+", shape=shape)
        if os.name == "posix":
            path.unlink()  # the map stays until the process ends, and nothing is left behind
    return pixels


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
    chosen = torch.linspace(0, len(pixels) - 1, min(at_most, len(pixels))).long()
    values = pixels[chosen].double() / 255
    mean, std = values.mean(dim=(0, 2, 3)), values.std(dim=(0, 2, 3), correction=0)
    return (
        tuple(round(m, 4) for m in mean.tolist()),
        tuple(max(round(s, 4), 1e-3) for s in std.tolist()),  # a constant channel is not divided by zero
    )
