"""CIFAR binary batches: records of one label byte (CIFAR-100: coarse, fine) and 3 x 32 x 32 bytes, plane by plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlens.data.images import Images, counts_of, images_of_arrays
from convlens.errors import DataError

PIXEL_BYTES = 3 * 32 * 32


@dataclass(frozen=True)
class Layout:
    """How one of the two sets is written."""

    title: str
    folder: str
    label_bytes: int  # the last one is the class
    num_classes: int
    names_file: str
    train: str  # file pattern
    test: str
    num_batches: int  # of train

    def is_whole(self, folder: Path) -> bool:
        return len(list(folder.glob(self.train))) >= self.num_batches and (folder / self.test).is_file()


# fmt: off
LAYOUTS = (
    Layout("CIFAR-10",  "cifar-10-batches-bin", 1, 10, "batches.meta.txt",     "data_batch_*.bin", "test_batch.bin", 5),
    Layout("CIFAR-100", "cifar-100-binary",     2, 100, "fine_label_names.txt", "train.bin",        "test.bin", 1),
)
# fmt: on

Batches = tuple[Layout, Path]


def find_cifar(folder: Path, layouts: Sequence[Layout] = LAYOUTS) -> Batches | None:
    """The layout and the folder where its batches lie: this folder, or the usual one within it."""
    for layout in layouts:
        for place in (folder, folder / layout.folder):
            if any(place.glob(layout.train)) or (place / layout.test).is_file():
                return layout, place
    return None


def open_cifar(batches: Batches, *, name: str, source: str) -> Images:
    """Batches of `find_cifar` -> Images; raises DataError where a file is not whole records of known classes."""
    layout, folder = batches
    pictures, labels = {}, {}
    for part, pattern in (("train", layout.train), ("test", layout.test)):
        files = sorted(folder.glob(pattern))
        if files:
            records = np.concatenate([_read_records(file, layout) for file in files])
            labels[part] = records[:, layout.label_bytes - 1].astype(np.int64)
            planes = records[:, layout.label_bytes :].reshape(-1, 3, 32, 32)
            pictures[part] = planes.transpose(0, 2, 3, 1)  # a view: each picture is made contiguous when it is read
    notes = [f"{counts_of(pictures)} ({layout.title} binary batches)"]
    return images_of_arrays(pictures, labels, _class_names(folder, layout), name=name, source=source, notes=notes)


def _read_records(path: Path, layout: Layout) -> NDArray[np.uint8]:
    """A batch file -> (N, label bytes + 3072)."""
    record = layout.label_bytes + PIXEL_BYTES
    try:
        values = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(values) == 0 or len(values) % record:
        raise DataError(
            f"{path} has {len(values):,} bytes; expected records of {record:,} bytes ({layout.title}): "
            f"copy or download it again"
        )
    records = values.reshape(-1, record)
    highest = int(records[:, layout.label_bytes - 1].max())
    if highest >= layout.num_classes:
        raise DataError(f"{path} has the label {highest}; expected 0 to {layout.num_classes - 1} ({layout.title})")
    return records


def _class_names(folder: Path, layout: Layout) -> tuple[str, ...]:
    """The names in the file beside the batches, or numbers where it is missing or of another length."""
    names_file = folder / layout.names_file
    text = names_file.read_text(encoding="utf-8", errors="replace") if names_file.is_file() else ""
    names = tuple(text.split())
    return names if len(names) == layout.num_classes else tuple(map(str, range(layout.num_classes)))
