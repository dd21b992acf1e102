"""Groups of pictures that are equal, or that look alike, in nearly linear time.

Two pictures look alike when their 64-bit difference hashes differ in at most `MAX_DISTANCE` bits and a second look
agrees: greys that correlate to `MIN_CORRELATION` on 16 x 18 cells, the same tint, the same shape. On 1,500 photographs
of flowers the second look passed every copy saved again at another quality or size (0.995 and more), and one pair of
different photographs in a million came near (0.971).

By the pigeonhole principle, 6 differing bits leave at least 3 of 9 bands untouched; so each of the 84 triples of bands
is sorted, and only neighbours in that order are compared, never all pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from convlens.data.hashing import dhashes, is_flat

MAX_DISTANCE = 6
MIN_CORRELATION = 0.98
MAX_TINT = 12  # grey levels between the mean red-minus-green, or blue-minus-green, of two pictures
MAX_SHAPE = 1.1  # one picture's aspect ratio over the other's
MIN_SHORT_SIDE = 32  # smaller pictures (MNIST's digits) look alike without being copies
_BAND_STARTS = (0, 7, 14, 21, 28, 35, 42, 49, 56)  # nine bands of 7 bits, the last of 8
_BANDS_EQUAL = 3
_MAX_TESTS = 64  # second looks at one picture: crowds of equal hashes that are not alike stay affordable
_PAIRS_AT_ONCE = 16_384  # 40 MB of looks
_MAX_STEPS = 64  # neighbours compared in a crowd of equal bands; sorted by hash, the nearest come first


@dataclass(frozen=True)
class Looks:
    """What near duplicates are found by, for each of N pictures."""

    greys: np.ndarray  # (N, 16, 18) uint8
    tints: np.ndarray  # (N, 2) int16, mean red minus green and blue minus green
    heights: np.ndarray  # (N,)
    widths: np.ndarray  # (N,)

    def at(self, indices: Sequence[int] | np.ndarray) -> Looks:
        chosen = np.asarray(indices, np.int64)
        return Looks(self.greys[chosen], self.tints[chosen], self.heights[chosen], self.widths[chosen])

    def comparable(self) -> np.ndarray:
        """(N,) bool: large enough, and with enough in it."""
        large = np.minimum(self.heights, self.widths) >= MIN_SHORT_SIDE
        large[large] = ~is_flat(self.greys[large])
        return large

    def tell_apart(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Two (P,) arrays of indices -> (P,) bool, True where the second look finds different pictures."""
        shapes = self._shape(first) / self._shape(second)
        other_shape = np.maximum(shapes, 1 / shapes) > MAX_SHAPE
        other_tint = (np.abs(self.tints[first] - self.tints[second]) > MAX_TINT).any(axis=1)
        return other_shape | other_tint | (self._correlation(first, second) < MIN_CORRELATION)

    def _shape(self, indices: np.ndarray) -> np.ndarray:
        return self.heights[indices] / self.widths[indices]

    def _correlation(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        a, b = (self.greys[side].astype(np.float32) for side in (first, second))
        a -= a.mean(axis=(1, 2), keepdims=True)
        b -= b.mean(axis=(1, 2), keepdims=True)
        return (a * b).sum(axis=(1, 2)) / np.sqrt((a * a).sum(axis=(1, 2)) * (b * b).sum(axis=(1, 2)))


def exact_groups(hashes: Sequence[str | None]) -> list[list[int]]:
    """Content hashes, None for what has none -> indices of equal pictures, two or more a group."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, content in enumerate(hashes):
        if content is not None:
            members[content].append(index)
    return [group for group in members.values() if len(group) > 1]


def near_groups(looks: Looks, hashes: Sequence[str | None]) -> list[list[int]]:
    """Indices of pictures that look alike but are not all equal, two or more a group, exact copies included."""
    copies: dict[str, list[int]] = defaultdict(list)
    for index in np.flatnonzero(looks.comparable()).tolist():
        copies[str(hashes[index])].append(index)
    contents = list(copies.values())
    together: dict[int, list[list[int]]] = defaultdict(list)
    for content, root in zip(contents, _roots(looks.at([content[0] for content in contents])), strict=True):
        together[int(root)].append(content)
    return [sorted(index for content in group for index in content) for group in together.values() if len(group) > 1]


def _roots(looks: Looks) -> np.ndarray:
    """(N,) numbers; pictures that look alike, directly or through others, have the same one."""
    found = dhashes(looks.greys)
    by_hash = np.argsort(found, kind="stable")
    joined = _Joined(looks)
    for bands in combinations(range(len(_BAND_STARTS)), _BANDS_EQUAL):
        keys = found & _mask(bands)
        by_key = by_hash[np.argsort(keys[by_hash], kind="stable")]
        for first, second in _neighbours(keys[by_key]):
            a, b = by_key[first], by_key[second]
            close = np.bitwise_count(found[a] ^ found[b]) <= MAX_DISTANCE
            joined.join_if_alike(a[close], b[close])
    return joined.roots


class _Joined:
    """Pictures joined into groups, pair by pair; a crowd costs little more than its first pairs."""

    def __init__(self, looks: Looks) -> None:
        self.looks = looks
        self.roots = np.arange(len(looks.greys))
        self.num_tests = np.zeros(len(looks.greys), np.int64)

    def join_if_alike(self, first: np.ndarray, second: np.ndarray) -> None:
        untried = (self.num_tests[first] < _MAX_TESTS) | (self.num_tests[second] < _MAX_TESTS)
        worth = untried & (self.roots[first] != self.roots[second])
        first, second = first[worth], second[worth]
        for start in range(0, len(first), _PAIRS_AT_ONCE):
            self._test(first[start : start + _PAIRS_AT_ONCE], second[start : start + _PAIRS_AT_ONCE])
        while len(first) and not np.array_equal(self.roots, self.roots[self.roots]):
            self.roots = self.roots[self.roots]

    def _test(self, first: np.ndarray, second: np.ndarray) -> None:
        self.num_tests += np.bincount(np.concatenate([first, second]), minlength=len(self.roots))
        alike = ~self.looks.tell_apart(first, second)
        for one, other in zip(first[alike].tolist(), second[alike].tolist(), strict=True):
            low, high = sorted((self._root(one), self._root(other)))
            self.roots[high] = low

    def _root(self, index: int) -> int:
        while self.roots[index] != index:
            index = int(self.roots[index])
        return index


def _neighbours(keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places, one step apart, then two, …, whose sorted keys are equal."""
    first = np.arange(len(keys))
    for step in range(1, _MAX_STEPS + 1):
        first = first[first < len(keys) - step]
        first = first[keys[first] == keys[first + step]]
        if not len(first):
            return
        yield first, first + step


def _mask(bands: tuple[int, ...]) -> np.uint64:
    ends = (*_BAND_STARTS[1:], 64)
    return np.uint64(sum((1 << ends[band]) - (1 << _BAND_STARTS[band]) for band in bands))
