"""NPZ archives: the layouts in use, the conversions to uint8, and clear words for all else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convlens.data.open import open_images
from convlens.errors import DataError

GREY = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)
RGB = np.arange(4 * 5 * 6 * 3, dtype=np.uint16).astype(np.uint8).reshape(4, 5, 6, 3)
LABELS = np.array([2, 0, 0, 1])


def save(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "set.npz", **arrays)
    return folder / "set.npz"


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        (["x_train", "y_train", "x_test", "y_test"], ["train", "test"]),
        (["X_train", "Y_train", "X_valid", "Y_valid"], ["train", "val"]),
        (
            ["train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"],
            ["train", "val", "test"],
        ),
        (["images", "labels"], None),
        (["x", "y"], None),
        (["data", "labels"], None),
    ],
)
def test_the_usual_names_are_known(keys: list[str], parts: list[str] | None, tmp_path: Path) -> None:
    arrays = {key: GREY if index % 2 == 0 else LABELS for index, key in enumerate(keys)}
    images = open_images(save(tmp_path, **arrays))
    assert images.name == "set" and images.classes == ("0", "1", "2")
    assert images.parts == (None if parts is None else tuple(part for part in parts for _ in range(4)))
    assert images.labels.tolist() == LABELS.tolist() * len(parts or [1])
    assert images.reader.key(1) == ("00001" if parts is None else "train/00001")
    assert images.reader.read(1).tolist() == GREY[1].tolist()
    assert images.notes == (" + ".join(["4"] * len(parts or [1])) + " pictures (NPZ)",)


@pytest.mark.parametrize(
    ("stored", "picture"),
    [
        (GREY, GREY[1]),
        (GREY[..., None], GREY[1]),
        (GREY[:, None], GREY[1]),
        (RGB, RGB[1]),
        (RGB.transpose(0, 3, 1, 2), RGB[1]),
    ],
    ids=["NHW", "NHW1", "N1HW", "NHW3", "N3HW"],
)
def test_every_order_of_axes_gives_the_same_picture(stored: np.ndarray, picture: np.ndarray, tmp_path: Path) -> None:
    read = open_images(save(tmp_path, images=stored, labels=LABELS)).reader.read(1)
    assert read.dtype == np.uint8 and read.tolist() == picture.tolist() and read.flags.c_contiguous


@pytest.mark.parametrize(
    ("stored", "expected", "note"),
    [
        (np.array([0, 1], bool), [0, 255], "bool values 0 to 1 became uint8, times 255"),
        (np.array([0, 0.5, 1], np.float32), [0, 128, 255], "float32 values 0 to 1 became uint8, times 255"),
        (np.array([0, 99.6, 255]), [0, 100, 255], "float64 values 0 to 255 became uint8"),
        (np.array([0, 255], np.int64), [0, 255], "int64 values 0 to 255 became uint8"),
        (np.array([0, 200], np.uint16), [0, 200], "uint16 values 0 to 200 became uint8"),
        (
            np.array([0, 32896, 65535], np.uint16),
            [0, 128, 255],
            "uint16 values 0 to 65535 became uint8, times 0.003891",
        ),
    ],
)
def test_values_become_uint8_and_the_notes_say_how(
    stored: np.ndarray, expected: list[int], note: str, tmp_path: Path
) -> None:
    images = open_images(save(tmp_path, images=np.broadcast_to(stored, (4, 2, len(stored))), labels=LABELS))
    assert images.reader.read(0)[0].tolist() == expected and images.notes[1] == note


def test_all_parts_are_scaled_alike(tmp_path: Path) -> None:
    dark, bright = np.full((4, 2, 2), 1.0), np.full((4, 2, 2), 200.0)
    images = open_images(save(tmp_path, x_train=bright, y_train=LABELS, x_test=dark, y_test=LABELS))
    assert images.reader.read(4).max() == 1


@pytest.mark.parametrize(
    ("labels", "extra", "classes", "numbers"),
    [
        (LABELS[:, None], {}, ("0", "1", "2"), [2, 0, 0, 1]),
        (np.eye(3)[LABELS], {}, ("0", "1", "2"), [2, 0, 0, 1]),
        (np.eye(3, dtype=bool)[LABELS], {}, ("0", "1", "2"), [2, 0, 0, 1]),
        (LABELS.astype(np.float64), {}, ("0", "1", "2"), [2, 0, 0, 1]),
        (np.array([5, 7, 7, -1]), {}, ("-1", "5", "7"), [1, 2, 2, 0]),
        (LABELS, {"classes": np.array(["a", "b", "c", "d"])}, ("a", "b", "c", "d"), [2, 0, 0, 1]),
        (np.array(["dog", "cat", "cat", "owl"]), {}, ("cat", "dog", "owl"), [1, 0, 0, 2]),
        (np.array([b"dog", b"cat", b"cat", b"owl"]), {}, ("cat", "dog", "owl"), [1, 0, 0, 2]),
        (np.array(["b", "a", "a", "b"]), {"classes": np.array(["b", "a"])}, ("b", "a"), [0, 1, 1, 0]),
    ],
)
def test_labels_come_as_numbers_text_or_one_hot(
    labels: np.ndarray, extra: dict[str, np.ndarray], classes: tuple[str, ...], numbers: list[int], tmp_path: Path
) -> None:
    images = open_images(save(tmp_path, images=GREY, labels=labels, **extra))
    assert images.classes == classes and images.labels.tolist() == numbers


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "holds no arrays; expected x_train and y_train"),
        ({"pixels": GREY, "labels": LABELS}, r"holds pixels \(4, 5, 6\), labels \(4,\); expected x_train and y_train"),
        ({"images": GREY[0], "labels": LABELS}, r"images is uint8 of shape \(5, 6\); expected numbers of shape"),
        ({"images": RGB[..., :2], "labels": LABELS}, r"shape \(4, 5, 6, 2\); .*with C = 1 or 3"),
        ({"images": GREY[:0], "labels": LABELS[:0]}, r"shape \(0, 5, 6\)"),
        ({"images": GREY.astype(str), "labels": LABELS}, "images is <U3 of shape"),
        ({"images": GREY - 1.0, "labels": LABELS}, "float64 from -1 to 118; expected uint8, bool, uint16, or numbers"),
        ({"images": GREY * np.nan, "labels": LABELS}, "float64 from nan to nan"),
        ({"images": GREY.astype(np.int32) * 1000, "labels": LABELS}, "int32 from 0 to 119000"),
        (
            {"x_train": GREY, "y_train": LABELS, "x_test": GREY / 255, "y_test": LABELS},
            "pictures of float64 and uint8",
        ),
        ({"images": GREY, "labels": LABELS[:3]}, r"labels has the shape \(3,\); expected one label for each of 4"),
        ({"images": GREY, "labels": np.ones((4, 3))}, r"labels has the shape \(4, 3\); expected one label for each"),
        ({"images": GREY, "labels": LABELS + 0.5}, "labels holds float64 values; expected whole numbers or text"),
        ({"images": GREY, "labels": LABELS, "classes": np.array(["a"])}, "labels 0 to 2; its array `classes` names 1"),
        ({"images": GREY, "labels": np.array(list("abab")), "classes": np.array(["a"])}, "the label 'b', which its"),
        ({"images": GREY, "labels": np.array([None] * 4)}, "as NPZ: labels: Object arrays cannot be loaded"),
        ({"images": GREY, "labels": LABELS.astype(np.uint64) + 2**63}, r"from 9.22337e\+18 to .*expected labels below"),
        ({"images": GREY, "labels": LABELS * 1e30}, r"labels holds numbers from 0 to 2e\+30; expected labels below 2"),
        ({"images": GREY, "labels": np.array(["a", "", "b", "b"])}, "has the class ''; expected a line of text"),
        (
            {"images": GREY, "labels": np.array(["a", "a\nb", "b", "b"])},
            r"has the class 'a\\nb'; expected a line of text",
        ),
        ({"images": GREY, "labels": np.array(["a", "a\0b", "b", "b"])}, r"has the class 'a\\x00b'; expected a line"),
        ({"images": GREY, "labels": LABELS, "classes": ["a", "", "b"]}, "has the class ''; expected a line of text"),
    ],
)
def test_what_does_not_fit_is_said(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    path = save(tmp_path, **arrays)
    with pytest.raises(DataError, match=message) as caught:
        open_images(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("cut", [0, 30, 500])
def test_a_damaged_archive_is_said(cut: int, tmp_path: Path) -> None:
    path = save(tmp_path, images=GREY, labels=LABELS)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"set\.npz cannot be read as NPZ"):
        open_images(path)


def test_a_lone_array_is_no_archive(tmp_path: Path) -> None:
    with (tmp_path / "set.npz").open("wb") as file:
        np.save(file, GREY)
    with pytest.raises(DataError, match="one array, not an archive of arrays"):
        open_images(tmp_path / "set.npz")


def test_arrays_that_are_not_read_are_told(tmp_path: Path) -> None:
    named = {"class_names": np.array(["p", "q", "r"])}
    arrays = {f"{what}_{part}": GREY if what == "x" else LABELS for part in ("train", "validation") for what in "xy"}
    images = open_images(save(tmp_path, **arrays, **named, x_test=GREY, ids=LABELS))
    assert images.parts == ("train",) * 4 + ("val",) * 4 and images.classes == ("p", "q", "r")
    assert images.notes == ("4 + 4 pictures (NPZ)", "arrays not read: x_test (4, 5, 6), ids (4,)")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": GREY, "x_test": GREY, "y_test": LABELS}, "has x_train without y_train; it holds x_train"),
        (
            {f"{key}_{part}": value for part in ("val", "valid") for key, value in (("x", GREY), ("y", LABELS))},
            "has x_val and x_valid, all for val; keep one",
        ),
        ({"images": GREY, "labels": LABELS, "classes": ["p", "p", "r"]}, "names the class 'p' twice"),
        ({"x": GREY, "X": 255 - GREY, "y": LABELS}, "has both x and X; keep one of them"),
        (
            {"x_train": GREY, "y_train": LABELS, "x_test": GREY, "y_test": np.array(list("abca"))},
            "labels that are text in one part and numbers in another",
        ),
        (
            {"x": GREY, "y": LABELS, "classes": [["0", "a"], ["1", "b"], ["2", "c"]]},
            r"an array of classes of shape \(3, 2\); expected a name for each, \(K,\)",
        ),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        open_images(save(tmp_path, **arrays))


def test_accents_of_labels_are_composed(tmp_path: Path) -> None:
    labels = np.array(["\u00e9", "e\u0301", "b", "b"])
    images = open_images(save(tmp_path, images=GREY, labels=labels))
    assert images.classes == ("b", "\u00e9") and images.labels.tolist() == [1, 1, 0, 0]
