"""What may be given to `ConvClassifier` as X, told apart: paths, pictures of Pillow or as arrays, or a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from convlens.errors import DataError, UnreadablePictures, listed
from convlens.pictures import decode, pixels_of
from convlens.storage import write_text

SHOWN = 5  # paths named in an error


def as_pictures(X: Any) -> np.ndarray | list[str] | None:
    """Paths as a list of text, pictures as an array (N, H, W) or of four dimensions; None for a table.

    ValueError for pictures of several shapes, and for one path where a list is expected.
    """
    if isinstance(X, str | Path):
        raise ValueError(f"X came as one path, {X}; expected a list of paths")
    if getattr(X, "ndim", 1) == 1 and (isinstance(X, Sequence | np.ndarray) or hasattr(X, "to_list")):
        items = list(X)
        if items and all(isinstance(item, str | Path) for item in items):
            return [str(item) for item in items]
    if isinstance(X, list | tuple) and len(X):
        X = _stacked(X)
    if (dimensions := getattr(X, "ndim", 0)) > 4:
        raise ValueError(
            f"X has {dimensions} dimensions; expected pictures (N, H, W), (N, H, W, C) or (N, C, H, W), or a table "
            "(N, F)"
        )
    if dimensions < 3:
        return None
    pictures = np.asarray(X)
    if pictures.dtype.kind not in "biuf":
        raise ValueError(f"X has pictures of {pictures.dtype}; expected numbers, not complex ones")
    return pictures


def _stacked(X: Sequence[Any]) -> Any:
    """A list of pictures, or of lists of lists of numbers -> one array; anything else as it came."""
    if all(isinstance(item, Image.Image) for item in X):
        X = [_with_channels(pixels_of(item), item.mode) for item in X]
        if len({item.ndim for item in X}) > 1:
            X = [_with_channels(item, "RGB") for item in X]
    if getattr(X[0], "ndim", 0) >= 2:
        shapes = {np.shape(item) for item in X}
        if len(shapes) > 1:
            some = " and ".join(map(str, sorted(shapes)[:2]))
            raise ValueError(f"X has pictures of {len(shapes)} shapes, such as {some}; give paths, or pictures of one")
        return np.stack(list(X))
    if isinstance(X[0], list | tuple) and len(X[0]) and isinstance(X[0][0], list | tuple):
        try:
            return np.array(X)
        except ValueError as error:
            raise ValueError("X has pictures of several shapes; give paths, or pictures of one") from error
    return X


def _with_channels(pixels: np.ndarray, mode: str) -> np.ndarray:
    """Three channels for a mode of colours, though this picture may be grey."""
    grey = mode in ("1", "L", "LA", "La", "F") or mode.startswith("I")
    return pixels if grey or pixels.ndim == 3 else np.stack([pixels] * 3, axis=2)


def sides_of(pictures: np.ndarray | list[str]) -> tuple[int, ...]:
    """(H, W) or (H, W, 3) of each picture, however the channels lie; () of paths and of a table."""
    return upright(np.asarray(pictures)[:1]).shape[1:] if np.ndim(pictures) > 2 else ()


def kind_of(pictures: np.ndarray | list[str]) -> str:
    if isinstance(pictures, list):
        return "paths"
    return "rows" if pictures.ndim == 2 else "arrays of pictures"


def check_shape(image_shape: Any, pictures: np.ndarray | list[str]) -> None:
    """ValueError for an `image_shape` that is not that of the pictures."""
    sides = sides_of(pictures)
    asked = tuple(image_shape) if isinstance(image_shape, tuple | list) else image_shape
    if asked is not None and (not sides or asked not in (sides, (*sides, 1))):
        came = f"pictures of {sides}" if sides else "paths"
        raise ValueError(f"image_shape is {image_shape}, and X has {came}; it is for a table: leave it out")


def as_shape(rows: np.ndarray, image_shape: Any) -> np.ndarray:
    """(N, F) -> (N, H, W) or (N, H, W, C); ValueError where F is another number."""
    features = rows.shape[1]
    given = list(image_shape) if isinstance(image_shape, tuple | list) else []
    shape = [side for side in given if isinstance(side, int | np.integer) and side > 0]
    if len(shape) not in (2, 3) or len(shape) < len(given) or prod(shape) != features:
        raise ValueError(
            f"image_shape is {image_shape}, and X has {features} features; expected (H, W) or (H, W, C) with as many"
        )
    return rows.reshape(len(rows), *shape)


def readers(pictures: np.ndarray | list[str]) -> list[Callable[[int], np.ndarray]]:
    """For each picture, `read(short_side)` -> uint8 (H, W) or (H, W, 3); arrays are uint8 already."""
    if isinstance(pictures, list):
        return [partial(_decoded, path) for path in pictures]
    return [partial(_as_it_is, picture) for picture in upright(pictures)]


def _decoded(path: str, short_side: int) -> np.ndarray:
    return decode(path, short_side=short_side)


def _as_it_is(picture: np.ndarray, _: int) -> np.ndarray:
    return picture


def upright(pixels: np.ndarray) -> np.ndarray:
    """(N, H, W, C) or (N, C, H, W) -> (N, H, W) or (N, H, W, 3); ValueError for other channels than 1 or 3."""
    if pixels.ndim == 4 and pixels.shape[3] not in (1, 3) and pixels.shape[1] in (1, 3):
        pixels = pixels.transpose(0, 2, 3, 1)
    if pixels.ndim == 4 and pixels.shape[3] not in (1, 3):
        raise ValueError(f"X has pictures of {pixels.shape[1:]}; expected 1 or 3 channels, first or last")
    return np.ascontiguousarray(pixels[..., 0] if pixels.ndim == 4 and pixels.shape[3] == 1 else pixels)


def unreadable_paths(error: UnreadablePictures) -> DataError:
    """The same for those who gave a list of paths."""
    named = listed(error.names, SHOWN)
    return DataError(
        f"{len(error.names):,} of {error.num_pictures:,} paths in X cannot be read as pictures: {named}; leave them "
        "out of X, and their labels out of y, or mend the files"
    )


def written(place: Path, pictures: np.ndarray | list[str], numbers: np.ndarray, names: Sequence[str]) -> Path:
    """What `train` takes: an NPZ of uint8 arrays, or a table of path and label; `numbers` are places in `names`."""
    if isinstance(pictures, np.ndarray):
        np.savez(place / "pictures.npz", images=pictures, labels=numbers, classes=np.array(names))
        return place / "pictures.npz"
    text = io.StringIO()
    rows = ((str(Path(path).resolve()), names[number]) for path, number in zip(pictures, numbers, strict=True))
    csv.writer(text).writerows([("path", "label"), *rows])
    write_text(place / "pictures.csv", text.getvalue())
    return place / "pictures.csv"
