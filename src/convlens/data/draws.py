"""Random numbers that belong to a picture, not to a moment.

Each draw is a hash of (seed, epoch, index, name), so the number of workers, the batch size and an interruption never
change it. The mixer is SplitMix64 (Steele, Lea and Flood 2014).
"""

from __future__ import annotations

import zlib

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def hashed(seed: int, epoch: int, name: str, indices: np.ndarray) -> np.ndarray:
    """(N,) indices -> (N,) uint64, the same for the same (seed, epoch, name, index) everywhere."""
    with np.errstate(over="ignore"):
        bits = np.zeros(1, np.uint64)
        for word in (
            seed,
            epoch,
            zlib.crc32(name.encode()),
        ):  # one by one, so that (0, 1) and (1, 0) differ
            bits = _mix(bits + GOLDEN + np.uint64(word))
        return _mix(bits + GOLDEN * (np.asarray(indices, np.uint64) + np.uint64(1)))


def uniform(seed: int, epoch: int, name: str, indices: np.ndarray) -> np.ndarray:
    """(N,) indices -> (N,) float32 in [0, 1)."""
    return ((hashed(seed, epoch, name, indices) >> np.uint64(40)) / np.float64(1 << 24)).astype(np.float32)


def permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of an epoch: (count,) int64."""
    return np.argsort(hashed(seed, epoch, "order", np.arange(count)), kind="stable")


def batch_seed(seed: int, step: int) -> int:
    """The seed of what is drawn for a whole batch, dropout for one."""
    return int(hashed(seed, step, "batch", np.zeros(1, np.int64))[0] >> np.uint64(1))
