"""CIFAR binary batches."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from convlens.data.open import open_images
from convlens.errors import DataError

PLANES = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), np.uint8)
NAMES_10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def batch(*labels: tuple[int, ...]) -> bytes:
    return b"".join(bytes(label) + PLANES[index].tobytes() for index, label in enumerate(labels))


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


CIFAR10 = {
    "data_batch_1.bin": batch((6,), (9,)),
    "data_batch_2.bin": batch((0,), (1,), (2,)),
    "test_batch.bin": batch((3,)),
    "batches.meta.txt": ("\n".join(NAMES_10) + "\n\n").encode(),
}


@pytest.mark.parametrize("below", ["", "cifar-10-batches-bin/"])
def test_cifar10_is_read_here_or_in_its_usual_subfolder(below: str, tmp_path: Path) -> None:
    images = open_images(lay(tmp_path / "small", {below + name: data for name, data in CIFAR10.items()}))
    assert images.name == "small" and images.notes == ("5 + 1 pictures (CIFAR-10 binary batches)",)
    assert images.classes == tuple(NAMES_10) and images.labels.tolist() == [6, 9, 0, 1, 2, 3]
    assert images.parts == ("train",) * 5 + ("test",)
    assert (images.reader.read(1) == PLANES[1].transpose(1, 2, 0)).all() and images.reader.key(5) == "test/00000"
    assert images.reader.read(1).flags.c_contiguous


def test_cifar100_has_its_fine_labels(tmp_path: Path) -> None:
    names = [f"fine{number}" for number in range(100)]
    files = {"train.bin": batch((1, 99), (0, 5)), "test.bin": batch((2, 0)), "fine_label_names.txt": b""}
    lay(tmp_path / "cifar-100-binary", files | {"fine_label_names.txt": "\n".join(names).encode()})
    images = open_images(tmp_path)
    assert images.classes == tuple(names) and images.labels.tolist() == [99, 5, 0]
    assert images.notes == ("2 + 1 pictures (CIFAR-100 binary batches)",)
    assert (images.reader.read(0) == PLANES[0].transpose(1, 2, 0)).all()


def test_without_the_file_of_names_the_classes_are_numbers(tmp_path: Path) -> None:
    images = open_images(lay(tmp_path, {"data_batch_1.bin": CIFAR10["data_batch_1.bin"]}))
    assert images.classes == tuple("0123456789") and set(images.parts or ()) == {"train"}


def test_one_file_of_a_set_means_the_set(tmp_path: Path) -> None:
    lay(tmp_path, CIFAR10)
    assert len(open_images(tmp_path / "test_batch.bin")) == 6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has 0 bytes; expected records of 3,073 bytes"),
        (batch((1,), (2,))[:-1], "has 6,145 bytes; expected records of 3,073 bytes"),
        (batch((1,), (10,)), r"has the label 10; expected 0 to 9 \(CIFAR-10\)"),
    ],
)
def test_a_damaged_batch_is_named_with_its_fault(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"data_batch_2\.bin {message}"):
        open_images(lay(tmp_path, CIFAR10 | {"data_batch_2.bin": data}))


@pytest.mark.slow
def test_the_real_batches_are_read(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["unpack.py", str(tmp_path / "cifar10")])
    runpy.run_path(str(shared_data / "cifar10" / "unpack.py"), run_name="__main__")
    images = open_images("cifar10", data_dir=tmp_path)
    assert images.classes == tuple(NAMES_10) and images.labels[:5].tolist() == [6, 9, 9, 4, 1]
    assert images.notes == ("50,000 + 1,000 pictures (CIFAR-10 binary batches)",)
