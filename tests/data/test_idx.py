"""IDX files: read as MNIST's are, and refused by name and reason where they are damaged."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from convlens.data.open import open_images
from convlens.errors import DataError


def idx(values: np.ndarray, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


PICTURES = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)
LABELS = np.array([3, 0, 3, 7, 0], np.uint8)
GOOD = {
    "train-images-idx3-ubyte": idx(PICTURES),
    "train-labels-idx1-ubyte": idx(LABELS),
    "t10k-images-idx3-ubyte": idx(PICTURES[:2]),
    "t10k-labels-idx1-ubyte": idx(LABELS[:2]),
}


def lay(folder: Path, files: dict[str, bytes] = GOOD, *, zipped: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(data, mtime=0) if zipped else data)
    return folder


@pytest.mark.parametrize("zipped", [False, True])
def test_pictures_labels_and_parts_are_read(zipped: bool, tmp_path: Path) -> None:
    images = open_images(lay(tmp_path / "letters", zipped=zipped))
    assert images.name == "letters" and images.notes == ("5 + 2 pictures (IDX)",)
    assert images.classes == ("0", "3", "7") and images.labels.tolist() == [1, 0, 1, 2, 0, 1, 0]
    assert images.parts == ("train",) * 5 + ("test",) * 2
    assert [images.reader.key(i) for i in (0, 4, 5)] == ["train/00000", "train/00004", "test/00000"]
    assert images.reader.read(4).tolist() == PICTURES[4].tolist() and images.reader.path(4) is None
    assert images.reader.read(5, short_side=2).tolist() == PICTURES[0].tolist()


def test_one_file_of_a_set_means_the_set(tmp_path: Path) -> None:
    lay(tmp_path / "digits", zipped=True)
    assert len(open_images(tmp_path / "digits" / "train-images-idx3-ubyte.gz")) == 7


def test_a_lone_subfolder_named_as_a_set_is_entered(tmp_path: Path) -> None:
    lay(tmp_path / "fashion-mnist")
    images = open_images(tmp_path)
    assert images.name == "fashion-mnist" and len(images) == 7


def test_the_training_part_alone_will_do(tmp_path: Path) -> None:
    images = open_images(lay(tmp_path, {name: GOOD[name] for name in list(GOOD)[:2]}))
    assert images.parts == ("train",) * 5 and images.notes == ("5 pictures (IDX)",)


def test_fashion_mnist_has_its_class_names(tmp_path: Path) -> None:
    images = open_images(lay(tmp_path / "Fashion-MNIST"))
    assert len(images.classes) == 10 and images.classes[images.labels[3]] == "Sneaker"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("train-images-idx3-ubyte", b"", "starts with nothing; expected 00 00 08 03"),
        ("train-images-idx3-ubyte", b"<htm", "starts with 3c 68 74 6d; expected 00 00 08 03"),
        ("train-images-idx3-ubyte", idx(LABELS), "starts with 00 00 08 01; expected 00 00 08 03, .* with 3 axes"),
        ("train-labels-idx1-ubyte", idx(PICTURES), "expected 00 00 08 01, an IDX file of uint8 values with 1 axis"),
        ("train-images-idx3-ubyte", idx(PICTURES, kind=13), "starts with 00 00 0d 03"),
        ("train-images-idx3-ubyte", GOOD["train-images-idx3-ubyte"][:9], "ends within its header"),
        (
            "train-images-idx3-ubyte",
            GOOD["train-images-idx3-ubyte"][:-1],
            "promises 5 x 3 x 4 = 60 values and holds 59",
        ),
        ("train-images-idx3-ubyte", GOOD["train-images-idx3-ubyte"] + b"!", "= 60 values and holds more"),
        ("train-images-idx3-ubyte", idx(PICTURES[:0]), "holds 0 x 3 x 4 values: nothing"),
        ("train-images-idx3-ubyte", b"\0\0\x08\x03" + b"\xff" * 12, "holds fewer"),
        ("train-images-idx3-ubyte", idx(PICTURES[:3]), "has 3 pictures and train-labels-idx1-ubyte.* 5 labels"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_damaged_file_is_named_with_its_fault(
    name: str, data: bytes, message: str, zipped: bool, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_images(lay(tmp_path, GOOD | {name: data}, zipped=zipped))
    assert name in str(caught.value)


def test_a_truncated_gzip_file_is_said(tmp_path: Path) -> None:
    lay(tmp_path, zipped=True)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz cannot be read"):
        open_images(tmp_path)


def test_pictures_without_labels_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="train-images-idx3-ubyte has no labels file beside it"):
        open_images(lay(tmp_path, {"train-images-idx3-ubyte": GOOD["train-images-idx3-ubyte"]}))


def test_two_sets_in_one_folder_are_said(tmp_path: Path) -> None:
    lay(tmp_path, {f"emnist-{name}-{file}": data for name in ("digits", "letters") for file, data in GOOD.items()})
    with pytest.raises(DataError, match=r"2 sets \(emnist-digits-, emnist-letters-\)"):
        open_images(tmp_path)


def test_mnist_is_mnist(shared_data: Path) -> None:
    images = open_images(shared_data / "mnist")
    assert images.notes == ("60,000 + 10,000 pictures (IDX)",) and images.classes == tuple("0123456789")
    assert images.labels[:5].tolist() == [5, 0, 4, 1, 9] and images.labels[60000:60005].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(images.labels[:60000]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert images.reader.read(0).shape == (28, 28)
