"""Random numbers that belong to a picture, not to a moment.

Each draw is a hash of (seed, epoch, index, name), so the number of workers, the batch size and an interruption never
change it. The mixer is SplitMix64 (Steele, Lea and Flood 2014).
"""

from __future__ import annotations

import copy
import zlib
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
CPU = torch.device("cpu")


class Draws:
    """What is drawn for some pictures of an epoch: `draws("flip")` -> (N,) float32 in [0, 1), on `device`.

    The same on every device: they are made by the CPU, for all pictures at once, and kept for the parts of these.
    """

    def __init__(self, seed: int, epoch: int, indices: np.ndarray, device: torch.device = CPU) -> None:
        self.seed, self.epoch, self.device = seed, epoch, device
        self._all, self._place = indices, slice(0, len(indices))
        self._kept: dict[tuple[int, str], np.ndarray] = {}  # by epoch and name, for all

    @property
    def indices(self) -> np.ndarray:
        return self._all[self._place]

    def __call__(self, name: str) -> Tensor:
        return self._there(self._drawn(name))

    def within(self, name: str, most: float) -> Tensor:
        """(N,) in [-most, most)."""
        return most * (self(name) * 2 - 1)

    def whole(self, name: str, count: int | Tensor) -> Tensor:
        """(N,) int64 in 0..count - 1."""
        return (self(name) * count).long()

    def normal(self, name: str) -> Tensor:
        """(N,) float32 of mean 0 and deviation 1 (Box and Muller 1958)."""
        radius, turn = (self._drawn(f"{name} {part}").astype(np.float64) for part in ("radius", "turn"))
        return self._there((np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * turn)).astype(np.float32))

    def of_epoch(self, epoch: int) -> Draws:
        other = copy.copy(self)
        other.epoch = epoch
        return other

    def part(self, start: int, stop: int) -> Draws:
        """Those of the pictures from `start` on, before `stop`."""
        few, first = copy.copy(self), self._place.start
        few._place = slice(first + start, min(first + stop, self._place.stop))
        return few

    def split(self, count: int) -> list[Draws]:
        """Those of `count` parts of the batch, as Tensor.tensor_split divides it."""
        size, larger = divmod(len(self.indices), count)
        edges = [number * size + min(number, larger) for number in range(count + 1)]
        return [self.part(start, stop) for start, stop in pairwise(edges)]

    def _drawn(self, name: str) -> np.ndarray:
        key = (self.epoch, name)
        if key not in self._kept:
            self._kept[key] = uniform(self.seed, self.epoch, name, self._all)
        return self._kept[key][self._place]

    def _there(self, drawn: np.ndarray) -> Tensor:
        return torch.from_numpy(drawn).to(self.device, non_blocking=True)


def _mix(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _stream(seed: int, epoch: int, name: str) -> np.ndarray:
    """(1,) uint64."""
    bits = np.zeros(1, np.uint64)
    for word in (seed, epoch, zlib.crc32(name.encode())):  # one by one, so that (0, 1) and (1, 0) differ
        bits = _mix(bits + GOLDEN + np.uint64(word))
    return bits


def hashed(seed: int, epoch: int, name: str, indices: np.ndarray) -> np.ndarray:
    """(N,) indices -> (N,) uint64, the same for the same (seed, epoch, name, index) everywhere."""
    with np.errstate(over="ignore"):
        return _mix(_stream(seed, epoch, name) + GOLDEN * (np.asarray(indices, np.uint64) + np.uint64(1)))


def uniform(seed: int, epoch: int, name: str, indices: np.ndarray) -> np.ndarray:
    """(N,) indices -> (N,) float32 in [0, 1)."""
    return ((hashed(seed, epoch, name, indices) >> np.uint64(40)) / np.float64(1 << 24)).astype(np.float32)


def permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of an epoch: (count,) int64."""
    return np.argsort(hashed(seed, epoch, "order", np.arange(count)), kind="stable")


def batch_seed(seed: int, step: int) -> int:
    """The seed of what is drawn for a whole batch, dropout for one."""
    return int(hashed(seed, step, "batch", np.zeros(1, np.int64))[0] >> np.uint64(1))
