"""NPZ archives of arrays: Keras (x_train, y_train, ...), MedMNIST (train_images, train_labels, ...) or one pair.

Pictures are (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3. Values become uint8:

    bool            x 255
    uint8           as they are; other integers too where all lie in 0..255
    uint16          / 257, so that 65535 is white
    floats          x 255 where all lie in 0..1, else rounded where all lie in 0..255

An optional array `classes` (or `class_names`) names the label numbers. Arrays that are not read are told in the notes.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlens.data.idx import classes_of_numbers
from convlens.data.images import Images, class_named, counts_of, images_of_arrays
from convlens.errors import DataError, counted

# fmt: off
DIVIDED = (  # (pictures, labels, part)
    ("x_train",      "y_train",      "train"),
    ("x_val",        "y_val",        "val"),
    ("x_valid",      "y_valid",      "val"),
    ("x_validation", "y_validation", "val"),
    ("x_test",       "y_test",       "test"),
    ("train_images", "train_labels", "train"),
    ("val_images",   "val_labels",   "val"),
    ("test_images",  "test_labels",  "test"),
)
CLASSES = ("classes", "class_names")
WHOLE = (("images", "labels", ""), ("x", "y", ""), ("data", "labels", ""))
# fmt: on
EXPECTED = (
    "x_train and y_train (and x_test, y_test), train_images and train_labels (and val_, test_), or images and labels"
)
SHAPES = "expected numbers of shape (N, H, W), (N, H, W, C) or (N, C, H, W), with C = 1 or 3"
MOST_LABEL = 2.0**63  # int64 ends there
Array = NDArray[Any]

READ_ERRORS = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
)


def open_npz(path: Path, *, name: str, source: str) -> Images:
    """An NPZ file -> Images; raises DataError, listing keys and shapes, where it holds anything else."""
    arrays = _load(path)
    groups = [group for group in DIVIDED if {group[0], group[1]} <= arrays.keys()]
    _check_groups(groups, arrays, path)
    groups = groups or [group for group in WHOLE if {group[0], group[1]} <= arrays.keys()][:1]
    if not groups:
        raise DataError(f"{path} holds {_listing(arrays)}; expected {EXPECTED}")
    raw = {part: _as_pictures(arrays[key], f"{path}: {key}") for key, _, part in groups}
    answers = {part: _as_labels(arrays[key], len(raw[part]), f"{path}: {key}") for _, key, part in groups}
    pictures, conversion = _to_uint8(raw, path)
    names = next((key for key in CLASSES if key in arrays), None)
    classes, labels = _classes(answers, None if names is None else arrays[names], path)
    notes = [f"{counts_of(pictures)} (NPZ)", *([conversion] if conversion else [])]
    read = {key for group in groups for key in group[:2]} | {names}
    if unread := {key: array for key, array in arrays.items() if key not in read}:
        notes.append(f"arrays not read: {_listing(unread)}")
    return images_of_arrays(pictures, labels, classes, name=name, source=source, notes=notes)


def _check_groups(groups: list[tuple[str, str, str]], arrays: dict[str, Array], path: Path) -> None:
    parts = [part for _, _, part in groups]
    if twice := [group for group in groups if parts.count(group[2]) > 1]:
        raise DataError(
            f"{path} has {' and '.join(key for key, _, _ in twice)}, all for {twice[0][2]}; keep one of them"
        )
    for key, labels, part in DIVIDED:
        if part == "train" and part not in parts and key in arrays:
            raise DataError(f"{path} has {key} without {labels}; it holds {_listing(arrays)}")


def _load(path: Path) -> dict[str, Array]:
    reading = ""  # the array, for the error
    arrays: dict[str, Array] = {}
    try:
        with path.open("rb") as file:  # np.load leaves it open when the archive is damaged
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("one array, not an archive of arrays")
            with archive:
                for key in archive.files:
                    if key.lower() in arrays:
                        raise DataError(f"{path} has both {key.lower()} and {key}; keep one of them")
                    reading = f"{key}: "
                    arrays[key.lower()] = archive[key]
    except READ_ERRORS as error:
        raise DataError(
            f"{path} cannot be read as NPZ: {reading}{error}; expected numpy.savez of plain arrays"
        ) from error
    return arrays


def _as_pictures(array: Array, what: str) -> Array:
    """(N, H, W), (N, H, W, C) or (N, C, H, W) -> (N, H, W) or (N, H, W, 3)."""
    shape = array.shape
    if array.ndim == 4 and shape[3] not in (1, 3) and shape[1] in (1, 3):
        array = array.transpose(0, 2, 3, 1)
    fits = array.ndim == 3 or (array.ndim == 4 and array.shape[3] in (1, 3))
    if not fits or 0 in shape or array.dtype.kind not in "biuf":
        raise DataError(f"{what} is {array.dtype} of shape {shape}; {SHAPES}")
    return array[..., 0] if array.ndim == 4 and array.shape[3] == 1 else array


def _as_labels(array: Array, num_pictures: int, what: str) -> Array:
    """(N,), (N, 1) or one-hot (N, K) -> (N,) integers or text."""
    labels = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if labels.ndim == 2 and labels.dtype.kind in "biuf" and _is_one_hot(labels):
        labels = labels.argmax(1)
    if labels.shape != (num_pictures,):
        raise DataError(
            f"{what} has the shape {array.shape}; expected one label for each of {counted(num_pictures, 'picture')}"
        )
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind in "uf" and (abs(labels.astype(np.float64)) >= MOST_LABEL).any():
        raise DataError(f"{what} holds numbers from {labels.min():g} to {labels.max():g}; expected labels below 2**63")
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all():
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "biuU":
        raise DataError(f"{what} holds {labels.dtype} values; expected whole numbers or text")
    return labels.astype(np.int64) if labels.dtype.kind in "biu" else labels


def _listing(arrays: dict[str, Array]) -> str:
    shown = [f"{key} {array.shape}" for key, array in list(arrays.items())[:8]]
    return ", ".join(shown) + (f" and {len(arrays) - 8} more" if len(arrays) > 8 else "") or "no arrays"


def _is_one_hot(labels: Array) -> bool:
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all())


def _to_uint8(raw: dict[str, Array], path: Path) -> tuple[dict[str, NDArray[np.uint8]], str]:
    """(pictures per part, what was done to them); one rule for all parts, so that they stay comparable."""
    kinds = sorted({str(array.dtype) for array in raw.values()})
    low, high = min(array.min() for array in raw.values()), max(array.max() for array in raw.values())
    scale = _scale(next(iter(raw.values())).dtype, low, high) if len(kinds) == 1 else None
    if scale is None:
        raise DataError(
            f"{path} has pictures of {' and '.join(kinds)} from {low:g} to {high:g}; "
            f"expected uint8, bool, uint16, or numbers in 0..1 or 0..255"
        )
    if kinds == ["uint8"]:
        return dict(raw), ""
    note = f"{kinds[0]} values {low:g} to {high:g} became uint8" + (f", times {scale:.4g}" if scale != 1 else "")
    return {part: _scaled(array, scale) for part, array in raw.items()}, note


def _scale(kind: np.dtype[Any], low: float, high: float) -> float | None:
    """The factor that brings the values to 0..255; None where there is no such rule."""
    if kind == np.bool_ or (kind.kind == "f" and low >= 0 and high <= 1):
        return 255.0
    if low >= 0 and high <= 255:
        return 1.0
    return 1 / 257 if kind == np.uint16 else None


def _scaled(array: Array, scale: float) -> NDArray[np.uint8]:
    """Row by row, so that no float copy of the whole set is made."""
    pictures = np.empty(array.shape, np.uint8)
    for index, picture in enumerate(array):
        pictures[index] = np.rint(np.asarray(picture, np.float64) * scale)
    return pictures


def _classes(
    answers: dict[str, Array], named: Array | None, path: Path
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    if named is not None and (named.ndim == 0 or named.size != max(named.shape)):
        raise DataError(f"{path} has an array of classes of shape {named.shape}; expected a name for each, (K,)")
    names = () if named is None else tuple(_named(name, path) for name in np.ravel(named))
    if repeated := sorted(name for name in set(names) if names.count(name) > 1):
        raise DataError(
            f"{path} names the class '{repeated[0]}' twice in its array of classes; expected a name for each"
        )
    if {"U", "i"} <= {values.dtype.kind for values in answers.values()}:
        raise DataError(f"{path} has labels that are text in one part and numbers in another; expected one kind")
    present = np.unique(np.concatenate(list(answers.values())))
    if present.dtype.kind == "U":
        answers = {part: np.array([_named(value, path) for value in values]) for part, values in answers.items()}
        present = np.unique(np.concatenate(list(answers.values())))
        classes = names or tuple(map(str, present))
        if unknown := set(map(str, present)) - set(classes):
            raise DataError(f"{path} has the label '{min(unknown)}', which its array `classes` does not name")
        number = {name: index for index, name in enumerate(classes)}
        return classes, {part: np.array([number[str(v)] for v in values], np.int64) for part, values in answers.items()}
    if names and (present.min() < 0 or present.max() >= len(names)):
        raise DataError(f"{path} has labels {present.min()} to {present.max()}; its array `classes` names {len(names)}")
    return classes_of_numbers({part: values.astype(np.int64) for part, values in answers.items()}, names)


def _named(name: object, path: Path) -> str:
    text = class_named(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name))
    if not text or any(sign in text for sign in "\n\r\0"):
        raise DataError(f"{path} has the class {text[:40]!r}; expected a line of text for each")
    return text
