"""Decoded pictures: resident as uint8 up to a quarter of the memory, else a memory map in the user's cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convlens.data.images import Images
from convlens.pictures import Preprocess
from convlens.storage import cache_dir, guard, make_room, sha256_bytes

Progress = Callable[[str, int, int, str], None]


def decode_pixels(
    images: Images, indices: Sequence[int] | np.ndarray, preprocess: Preprocess, *, progress: Progress | None = None
) -> Tensor:
    """Pictures -> (N, C, H, W) uint8 tensor at the geometry of `preprocess`, in the order of `indices`."""
    shape = (len(indices), preprocess.channels, *preprocess.size)
    pixels = _room_for(shape, images, indices, preprocess)
    short_side = _decode_side(preprocess)

    def decode_one(place: int) -> None:
        pixels[place] = preprocess.pixels(images.reader.read(int(indices[place]), short_side=short_side))

    with ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as threads:
        step = 256
        for start in range(0, len(indices), step):
            stop = min(start + step, len(indices))
            list(threads.map(decode_one, range(start, stop)))
            if progress:
                progress("decode", stop, len(indices), "")
    return torch.from_numpy(pixels)


def _decode_side(preprocess: Preprocess) -> int:
    """JPEGs may be decoded smaller, down to twice the side that is needed, so that resizing still averages."""
    return round(2 * max(preprocess.size) / preprocess.crop_ratio)


def _room_for(
    shape: tuple[int, ...], images: Images, indices: Sequence[int] | np.ndarray, ask: Preprocess
) -> np.ndarray:
    num_bytes = int(np.prod(shape, dtype=np.int64))
    if num_bytes <= memory_bytes() // 4:
        return np.empty(shape, np.uint8)
    key = sha256_bytes(f"{images.source} {ask.to_dict()} {len(indices)} {os.getpid()}".encode())[:16]
    path = cache_dir() / "pixels" / f"{key}.u8"
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
