"""Large JPEGs are scanned at a reduced size, which takes a third of the time: their bytes name them, not their pixels.

A picture saved again without loss (as PNG, or with other EXIF data) has other bytes and the same pixels. It has the
same size then, and nearly the same look: 24 photographs at 11 sizes from 512 to 4,101 px, with noise and in three
qualities, differed from their reduced decoding by 2 grey levels at most, and by 13 when EXIF turns them, for their
pixels are then averaged from another edge. So every pixel is compared where sizes and looks agree.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convlens.data.duplicates import Looks
from convlens.data.hashing import HALVED_FROM

LARGE = HALVED_FROM  # pixels of the short side from which a JPEG is decoded at a half or less
REDUCED = LARGE // 2  # pixels that the short side keeps, at least
SAME_LOOK = 16  # grey levels by which a cell of the same look may differ
SAME_MEAN = 2.0  # and the mean over all cells


def large(looks: Looks) -> np.ndarray:
    """(N,) bool: pictures that would be decoded at a reduced size if they are JPEGs."""
    return np.minimum(looks.heights, looks.widths) >= LARGE


def same_looks(looks: Looks, others: Looks) -> Iterator[np.ndarray]:
    """For each of N looks, the indices of the others of the same size and look."""
    means = others.greys.mean(axis=(1, 2))
    order = np.lexsort((means, others.widths, others.heights))
    sizes = _sizes(others)[order]
    for size, mean, grey in zip(_sizes(looks), looks.greys.mean(axis=(1, 2)), looks.greys, strict=True):
        first, last = np.searchsorted(sizes, (size, size + 1))
        inside = np.searchsorted(means[order[first:last]], (mean - SAME_MEAN, mean + SAME_MEAN))
        near = order[first + inside[0] : first + inside[1]]
        far = np.abs(others.greys[near].astype(np.int16) - grey.astype(np.int16)).max(axis=(1, 2), initial=0)
        yield near[far <= SAME_LOOK]


def _sizes(looks: Looks) -> np.ndarray:
    """(N,) one number for each height and width, in the order of both."""
    return looks.heights.astype(np.int64) << 32 | looks.widths.astype(np.int64)
