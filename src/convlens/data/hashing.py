"""Two fingerprints of a picture: one of its very pixels, one of its look."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from convlens.errors import PictureError
from convlens.pictures import is_grey
from convlens.storage import sha256_file

LOOK_ROWS, LOOK_COLUMNS = 16, 18  # twice the rows and columns of the difference hash
HALVED_FROM = 512  # pixels of the short side
FLAT = 2.0  # standard deviation of the look, in grey levels, below which a picture shows nothing to compare


def content_hash(picture: np.ndarray) -> str:
    """uint8 (H, W) or (H, W, 3) -> 32 hex digits of SHA-256 over shape and pixels.

    Colour whose three channels are equal counts as grey, so one picture hashes the same from PNG, IDX and NPZ.
    """
    if picture.ndim == 3 and (picture.shape[2] == 1 or is_grey(picture)):
        picture = picture[..., 0]
    digest = hashlib.sha256(str(picture.shape).encode())
    digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()[:32]


def file_hash(path: Path) -> str:
    """32 hex digits of SHA-256 over a file's bytes; raises PictureError where it cannot be read."""
    try:
        return sha256_file(path)[:32]
    except OSError as error:
        raise PictureError(str(path), error.strerror or "it cannot be read") from error


def look(picture: np.ndarray) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3) -> the picture as 16 x 18 greys, uint8."""
    return greys(cells(picture))


def cells(picture: np.ndarray) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3) -> its averages over 16 x 18 cells, uint8 (16, 18) or (16, 18, 3).

    A short side of 512 or more is halved first until it is less, as a JPEG may be while it is decoded: the edges of the
    cells then lie on the same pixels of the picture.
    """
    image = Image.fromarray(np.ascontiguousarray(picture))
    halvings = next(n for n in range(32) if -(-min(image.size) // 2**n) < HALVED_FROM)
    image = image.reduce(2**halvings) if halvings else image
    return np.asarray(image.resize((LOOK_COLUMNS, LOOK_ROWS), Image.Resampling.BOX))


def greys(cells: np.ndarray) -> np.ndarray:
    """Cells, grey or in colour -> uint8 (16, 18)."""
    return np.asarray(Image.fromarray(cells).convert("L"))


def tint(cells: np.ndarray) -> tuple[int, int]:
    """Cells -> mean red minus green and mean blue minus green, in grey levels."""
    if cells.ndim == 2:
        return 0, 0
    red, green, blue = cells.reshape(-1, 3).mean(axis=0)
    return round(red - green), round(blue - green)


def dhash(picture: np.ndarray) -> int:
    """The 64-bit difference hash: bit (row, column) says whether the grey rises to the next column."""
    return int(dhashes(look(picture)[None])[0])


def dhashes(looks: np.ndarray) -> np.ndarray:
    """(N, 16, 18) looks -> (N,) uint64, from 8 x 9 averages."""
    sums = looks.reshape(len(looks), LOOK_ROWS // 2, 2, LOOK_COLUMNS // 2, 2).sum(axis=(2, 4), dtype=np.uint16)
    rises = sums[:, :, 1:] > sums[:, :, :-1]
    return np.packbits(rises.reshape(len(looks), 64), axis=1).view(">u8").astype(np.uint64).reshape(len(looks))


def is_flat(looks: np.ndarray) -> np.ndarray:
    """(N, 16, 18) -> (N,) bool: too little to compare; the hash of noise around one grey says nothing."""
    return looks.std(axis=(1, 2)) < FLAT
