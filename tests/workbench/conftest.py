"""Pictures made on the spot, and a run trained on them."""

from __future__ import annotations

import errno
import hashlib
import shutil
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

QUICK = {"model": "perceptron", "image_size": 28, "epochs": 1, "precision": "fp32", "threads": 1, "weights": "none"}


@dataclass(frozen=True)
class Lesson:
    """A run and the class folder that it was trained on."""

    run: Path
    data: Path


def noise(seed: int, *, grey: bool = False) -> np.ndarray:
    """A picture that no other seed gives, 20 to 60 pixels a side."""
    draw = np.random.default_rng(seed)
    height, width = draw.integers(20, 60, 2)
    return draw.integers(0, 256, (height, width) if grey else (height, width, 3), dtype=np.uint8)


def _make_pictures(
    root: Path,
    classes: Sequence[str] = ("circle", "square"),
    *,
    per_class: int = 20,
    grey: bool | None = None,
    first: int = 0,
) -> Path:
    """A class folder of JPEG and PNG files of many sizes; every fourth is grey unless `grey` says otherwise."""
    for place, label in enumerate(classes):
        (root / label).mkdir(parents=True)
        for number in range(per_class):
            picture = noise(first + 1000 * place + number, grey=number % 4 == 0 if grey is None else grey)
            Image.fromarray(picture).save(root / label / f"{number:03d}.{('jpg', 'png')[number % 2]}")
    return root


def _fingerprint(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file of a folder with its time and content."""
    return {
        file.relative_to(folder).as_posix(): (
            file.stat().st_mtime_ns,
            hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "folder",
        )
        for file in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="session")
def make_pictures() -> Callable[..., Path]:
    return _make_pictures


def _write_idx(folder: Path, *, side: int = 20, num_classes: int = 2) -> Path:
    """Thirty training and ten test pictures as the four IDX files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in {"train": 30, "t10k": 10}.items():
        pictures = np.random.default_rng(count).integers(0, 256, (count, side, side), dtype=np.uint8)
        head = struct.pack(">4B3I", 0, 0, 8, 3, count, side, side)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(head + pictures.tobytes())
        labels = (np.arange(count) % num_classes).astype(np.uint8)
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, count) + labels.tobytes())
    return folder


@pytest.fixture(scope="session")
def write_idx() -> Callable[..., Path]:
    return _write_idx


@pytest.fixture(scope="session")
def picture() -> Callable[..., np.ndarray]:
    return noise


@pytest.fixture(scope="session")
def fingerprint() -> Callable[[Path], dict[str, tuple[int, str]]]:
    return _fingerprint


@pytest.fixture(scope="session")
def quickly() -> dict:
    """Options of a training that takes a moment."""
    return dict(QUICK)


@pytest.fixture(scope="session")
def whole_lesson(tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    """A perceptron after one epoch of 40 pictures. Read it; `lesson` is for those who write."""
    from convlens.workbench import train

    folder = tmp_path_factory.mktemp("lesson")
    data = _make_pictures(folder / "shapes")
    train(data, out=folder / "run", **QUICK)
    return Lesson(folder / "run", data)


@pytest.fixture
def lesson(whole_lesson: Lesson, tmp_path: Path) -> Lesson:
    """The same with a run folder for this test alone."""
    return Lesson(Path(shutil.copytree(whole_lesson.run, tmp_path / "run")), whole_lesson.data)


@pytest.fixture
def read_only(monkeypatch) -> Callable[[Path], None]:
    """Makes a folder one in which no new file can be begun, for whoever runs the tests."""

    def forbid(folder: Path) -> None:
        begin = Path.touch

        def touch(self: Path, *given: object, **options: object) -> None:
            if self.is_relative_to(folder):
                raise PermissionError(errno.EACCES, "Permission denied", str(self))
            begin(self, *given, **options)

        monkeypatch.setattr(Path, "touch", touch)

    return forbid
