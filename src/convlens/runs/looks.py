"""`looks.safetensors`: how the large pictures look that a run was trained on.

A large JPEG is known by its bytes, and a copy of it that was saved again without loss has others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from convlens.data import Looks, Scan, large
from convlens.runs.splits import Splits
from convlens.runs.whole import check_whole, unusable

FITTED_ON = ("train", "val")


@dataclass(frozen=True)
class SeenLooks:
    """`rows` are places in the splits: (n,) int64."""

    rows: np.ndarray
    looks: Looks

    def to_bytes(self) -> bytes:
        looks = self.looks
        sizes = np.stack([looks.heights, looks.widths], axis=1)
        return save({"rows": self.rows, "greys": looks.greys, "tints": looks.tints, "sizes": sizes})


def seen_looks(found: Scan, splits: Splits) -> SeenLooks:
    """The looks of what is trained on or fitted on, where a scan does not know it by its pixels alone."""
    fitted = np.isin(np.array(splits.parts), FITTED_ON)
    rows = np.flatnonzero(large(found.looks) & fitted)
    return SeenLooks(rows, found.looks.at(rows))


def read_looks(path: Path, *, sha256: str) -> SeenLooks:
    """Raises RunError when the file is missing or was changed: nobody could tell then what was trained on."""
    check_whole(path, sha256)
    try:
        held = load(path.read_bytes())
        looks = Looks(held["greys"], held["tints"], *held["sizes"].T)
        return SeenLooks(held["rows"], looks)
    except (OSError, SafetensorError, KeyError) as error:
        raise unusable(path, error) from error
