"""Picture files as data inside the page, so that it is one file; only files of the run are taken."""

from __future__ import annotations

from base64 import b64decode, b64encode
from itertools import pairwise
from pathlib import Path

import numpy as np

from convlens.errors import PictureError
from convlens.pictures import claimed_size, decode, png_bytes

PAGE = 800  # lines of a picture that a page of A4 takes as wide as it is
SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF89a": "image/gif"}


def data_address(path: Path, run: Path) -> str | None:
    """A `data:` address; None for a file that is missing, no PNG, JPEG or GIF, or outside the run folder.

    A run may come from someone else: a name such as ../../secret in it must not be published by the report.
    """
    try:
        real = path.resolve()
        if not real.is_relative_to(run.resolve()):
            return None
        content = real.read_bytes()
    except (OSError, ValueError):
        return None
    return embedded(content)


def data_pieces(path: Path, run: Path) -> list[str]:
    """The addresses of a picture that is cut, between its rows of tiles, into pieces that fit on a printed page.

    None of one that has no address or cannot be read.
    """
    whole = data_address(path, run)
    if whole is None:
        return []
    content = b64decode(whole.partition(",")[2])
    try:
        if claimed_size(content)[1] <= PAGE:
            return [whole]
        pixels = decode(content)
    except PictureError:
        return []
    ends = [0, *cuts((pixels == 255).reshape(len(pixels), -1).all(1)), len(pixels)]
    pieces = (embedded(png_bytes(pixels[start:end])) for start, end in pairwise(ends))
    return [piece for piece in pieces if piece is not None]


def cuts(empty: np.ndarray) -> list[int]:
    """Where to cut a picture, some of whose lines are `empty`: in the widest gap of each page's second half."""
    found, start = [], 0
    while len(empty) - start > PAGE:
        gaps = _gaps(empty[start + PAGE // 2 : start + PAGE])
        if not gaps:
            break
        length, first = max((length, first) for first, length in gaps)
        start += PAGE // 2 + first + length // 2
        found.append(start)
    return found


def _gaps(empty: np.ndarray) -> list[tuple[int, int]]:
    """(first line, number of lines) of each run of empty ones."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], empty, [False]]).astype(np.int8)))
    return [(int(first), int(last - first)) for first, last in edges.reshape(-1, 2)]


def embedded(content: bytes) -> str | None:
    """The same of a picture's bytes."""
    kind = next((kind for start, kind in SIGNATURES.items() if content.startswith(start)), None)
    return f"data:{kind};base64,{b64encode(content).decode()}" if kind else None
