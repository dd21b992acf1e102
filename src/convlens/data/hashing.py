"""Two fingerprints of a picture: one of its very pixels, one of its look.

Scans decode at full size, whatever size a training asks for, so one picture has one content hash in every format.
"""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

from convlens.pictures import is_grey

LOOK_ROWS, LOOK_COLUMNS = 16, 18  # twice the rows and columns of the difference hash
SAMPLED = 512  # rows or columns of a picture, from which a look at it is taken
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


def look(picture: np.ndarray) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3) -> the picture as 16 x 18 greys, uint8."""
    image = Image.fromarray(np.ascontiguousarray(thinned(picture))).convert("L")
    return np.asarray(image.resize((LOOK_COLUMNS, LOOK_ROWS), Image.Resampling.BOX))


def thinned(picture: np.ndarray) -> np.ndarray:
    """Every n-th row and column of a large picture, about 512 of the short side: enough to tell how it looks."""
    step = max(1, min(picture.shape[:2]) // SAMPLED)
    return picture[::step, ::step]


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
