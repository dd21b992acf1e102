"""`splits.csv`: which picture went to which part, by content hash; what was trained on is never scored."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convlens.errors import RunError
from convlens.runs.whole import RESTORE, unusable
from convlens.storage import write_text

COLUMNS = ("hash", "part", "label", "key")


@dataclass(frozen=True)
class Splits:
    """One row a picture, in the order of the source. An excluded picture may have no hash."""

    hashes: tuple[str, ...]
    parts: tuple[str, ...]
    labels: tuple[int, ...]
    keys: tuple[str, ...]

    def indices(self, part: str) -> np.ndarray:
        """Places of a part's pictures, in the order of the source: (n,) int64."""
        return np.flatnonzero(np.array(self.parts) == part)

    def counts(self) -> dict[str, int]:
        names, counts = np.unique(np.array(self.parts), return_counts=True)
        return {str(name): int(count) for name, count in zip(names, counts, strict=True)}

    def hashes_of(self, *parts: str) -> frozenset[str]:
        wanted = set(parts)
        return frozenset(h for h, part in zip(self.hashes, self.parts, strict=True) if part in wanted and h)

    def as_csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(zip(self.hashes, self.parts, self.labels, self.keys, strict=True))
        return text.getvalue()

    def write(self, path: Path) -> None:
        write_text(path, self.as_csv())


def make_splits(hashes: Sequence[str | None], parts: np.ndarray, labels: np.ndarray, keys: Sequence[str]) -> Splits:
    return Splits(tuple(h or "" for h in hashes), tuple(parts.tolist()), tuple(int(x) for x in labels), tuple(keys))


def read_splits(path: Path) -> Splits:
    """Raises RunError when the file is missing or has other columns."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unusable(path, error) from error
    if not rows or tuple(rows[0]) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise RunError(f"{path} is damaged: expected the columns {', '.join(COLUMNS)}; {RESTORE}")
    hashes, parts, labels, keys = zip(*rows[1:], strict=True) if len(rows) > 1 else ((), (), (), ())
    try:
        return Splits(hashes, parts, tuple(int(label) for label in labels), keys)
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}; expected class numbers in the column label; {RESTORE}") from error
