"""`open_images` tells the kinds of source apart and names what it cannot open."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from convlens.data.images import ArrayReader, Images
from convlens.data.open import open_images
from convlens.errors import DataError, UsageError


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mnits", r"no data set, file or folder is called 'mnits' \(near: mnist.*give one of digits, mnist"),
        ("./mnist", "there is no file or folder ./mnist; expected a folder, a CSV or Parquet table"),
        ("nowhere/set.csv", "there is no file or folder nowhere/set.csv"),
    ],
)
def test_a_source_that_is_not_there_is_said(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        open_images(source)


@pytest.mark.parametrize(("name", "message"), [("a.docx", "a file of the kind '.docx'"), ("a.JPG", "one picture")])
def test_a_file_of_another_kind_is_said(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=f"{name} is {message}; expected a folder"):
        open_images(tmp_path / name)


def test_digits_need_no_files() -> None:
    images = open_images("digits")
    assert images.name == images.source == "digits" and images.classes == tuple("0123456789")
    assert len(images) == 1797 and images.parts is None and images.labels[:4].tolist() == [0, 1, 2, 3]
    assert images.notes == ("1,797 pictures (scikit-learn's digits), 8 x 8, grey levels 0..16 scaled to 0..255",)
    picture = images.reader.read(0)
    assert picture.dtype == np.uint8 and picture.shape == (8, 8)
    assert picture[0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]  # 0 0 5 13 9 1 0 0 of 16
    assert max(images.reader.read(i).max() for i in range(50)) == 255


def test_a_name_wins_over_a_folder_of_that_name_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits").mkdir()
    assert f"'digits' is the named set; write .{os.sep}digits for the folder here" in open_images("digits").notes
    with pytest.raises(DataError, match="holds no pictures"):
        open_images("./digits")
    with pytest.raises(DataError, match="holds no pictures"):
        open_images(Path("digits"))


def test_the_current_folder_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    (tmp_path / "pets" / "cat" / "1.png").touch()
    monkeypatch.chdir(tmp_path / "pets")
    assert open_images(".").name == "pets"


def test_labels_and_parts_are_as_many_as_pictures() -> None:
    reader = ArrayReader({"": np.zeros((3, 2, 2), np.uint8)})
    Images("a", "a", ("x",), np.zeros(3, np.int64), reader, None)
    with pytest.raises(AssertionError):
        Images("a", "a", ("x",), np.zeros(2, np.int64), reader, None)
    with pytest.raises(AssertionError):
        Images("a", "a", ("x",), np.zeros(3, np.int64), reader, ("train", "val"))


@pytest.mark.parametrize(("source", "came"), [(None, "None"), ("", "''"), (np.zeros(3), "ndarray")])
def test_what_is_no_source_is_told(source: object, came: str) -> None:
    with pytest.raises(UsageError, match=f"the source came as {came}; expected a folder"):
        open_images(source)  # type: ignore[arg-type]


def test_class_folders_beside_idx_files_are_told(tmp_path: Path) -> None:
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (2, 4, 4))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(header + bytes(32))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 0, 1]))
    (tmp_path / "cat").mkdir()
    assert open_images(tmp_path).notes == ("2 pictures (IDX)", "folders beside the IDX files: not read (cat)")
