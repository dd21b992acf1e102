"""Decode any picture safely: upright, 8 bits, grey or RGB, or a PictureError with one short reason.

Nothing else is ever raised for a bad file, no warning of Pillow leaks, truncated files are refused, PNGs with wrong
checksums, and what Pillow calls a decompression bomb. A JPEG has no checksum: zeros in its middle decode as something.
All functions may be called from many threads at once.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from convlens.errors import PictureError
from convlens.pictures.channels import to_pixels
from convlens.pictures.facts import PictureFacts, bits_of, has_alpha, num_frames_of, orientation_of, suffix_format
from convlens.pictures.failures import UNREADABLE, bomb_reason, reason_of
from convlens.pictures.loading import draft, load
from convlens.pictures.quiet import quiet_pillow

Source = Path | str | bytes | BinaryIO

MAX_PIXELS = 89_478_485  # Pillow's own bound: a quarter of a gigabyte in RGB
READ_AT_ONCE = 16 << 20  # bytes
# Not pictures of pixels: EPS starts Ghostscript, the others are stubs that cannot load.
_REFUSED_FORMATS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
_TRIED_FIRST = ("JPEG", "PNG")  # Pillow asks one format after another, and some only say no after parsing
# EXIF orientation -> what makes the stored rows and columns upright.
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
    8: lambda pixels: np.rot90(pixels),
}


def decode(source: Source, *, short_side: int | None = None) -> np.ndarray:
    """A file, its bytes or an open file -> uint8 (H, W) when the picture is grey, else (H, W, 3).

    The first frame, upright by its EXIF orientation, on white where it is transparent. With `short_side` a large JPEG
    is decoded at a half, a quarter or an eighth of its size, as long as its short side keeps that many pixels.
    """
    return _guarded(source, lambda opened: _pixels(opened, short_side)[0])


def claimed_size(source: Source) -> tuple[int, int]:
    """(width, height) as the header says, before it is turned upright; nothing is decoded."""
    return _guarded(source, lambda opened: opened.image.size)


def inspect(source: Source) -> PictureFacts:
    """The facts from the header (a PNG is loaded whole, for its EXIF block may stand at the end)."""
    return _guarded(source, _header)


def decode_and_inspect(source: Source, *, short_side: int | None = None) -> tuple[np.ndarray, PictureFacts]:
    """Both at the price of one opening."""

    def both(opened: _Opened) -> tuple[np.ndarray, PictureFacts]:
        pixels, known = _pixels(opened, short_side)
        return pixels, _facts(opened, known)

    return _guarded(source, both)


def pixels_of(image: Image.Image) -> np.ndarray:
    """A picture that is open in Pillow already -> the same; ValueError where it cannot be read."""
    try:
        with quiet_pillow():
            bits = bits_of(image)  # which loading forgets
            image.load()
            pixels = to_pixels(image, image.format or "?", bits)
            return np.ascontiguousarray(_UPRIGHT.get(orientation_of(image), np.asarray)(pixels))
    except Exception as error:  # as above
        raise ValueError(f"a picture of Pillow ({image.mode}, {image.size}) cannot be read: {error}") from error


class _Opened(NamedTuple):
    image: Image.Image
    file: BinaryIO
    name: str


def _guarded(source: Source, work: Callable[[_Opened], Any]) -> Any:
    """work(opened picture), where whatever goes wrong becomes a PictureError: the one boundary to Pillow."""
    name = _name(source)
    with _opened(source, name) as file:
        try:
            with quiet_pillow(), closing(Image.open(file, formats=_formats())) as image:
                _refuse_bomb(name, image.width, image.height)
                return work(_Opened(image, file, name))
        except PictureError:
            raise
        except Exception as error:  # Pillow's plugins raise anything on damaged files
            raise PictureError(name, reason_of(error, *_ends(file))) from error


def _header(opened: _Opened) -> PictureFacts:
    image = opened.image
    known = _known(opened)
    # Pillow swaps the sides of a TIFF when it opens it.
    turned = known["orientation"] >= 5 and image.format != "TIFF"
    width, height = image.size[::-1] if turned else image.size
    return _facts(opened, known | {"width": width, "height": height})


def _pixels(opened: _Opened, short_side: int | None) -> tuple[np.ndarray, dict[str, Any]]:
    """The upright pixels, and the facts that only an open file tells."""
    image = opened.image
    full_size = image.size
    drafted = draft(image, short_side)
    known = _known(opened)
    load(image, opened.file)
    _refuse_bomb(opened.name, *image.size)  # an icon's size may grow when it is loaded
    pixels = to_pixels(image, known["format"], known["bits"])
    still_turned = orientation_of(image)  # Pillow turns a TIFF while loading it, and no other format
    if still_turned != 1:
        pixels = np.ascontiguousarray(_UPRIGHT[still_turned](pixels))
    height, width = pixels.shape[:2]
    if drafted:
        width, height = full_size[::-1] if still_turned >= 5 else full_size
    return pixels, known | {"width": width, "height": height}


def _known(opened: _Opened) -> dict[str, Any]:
    """What must be asked before the pixels are loaded, for loading forgets the bits, and turns a TIFF."""
    image = opened.image
    known = {"format": image.format or "?", "mode": image.mode, "bits": bits_of(image), "has_alpha": has_alpha(image)}
    if image.format == "PNG":
        load(image, opened.file)  # its EXIF block may stand behind the pixels
    return known | {"orientation": orientation_of(image)}


def _facts(opened: _Opened, known: dict[str, Any]) -> PictureFacts:
    # Frames are counted last, because counting moves in the file.
    return PictureFacts(**known, num_frames=num_frames_of(opened.image), suffix_format=suffix_format(opened.name))


def _refuse_bomb(name: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise PictureError(name, bomb_reason(width, height, MAX_PIXELS))


@contextmanager
def _opened(source: Source, name: str) -> Iterator[BinaryIO]:
    """The source as a seekable file; PictureError where there is none, or an empty one."""
    if isinstance(source, str | Path):
        with _open_file(Path(source)) as file:
            yield file
    else:
        data = source if isinstance(source, bytes) else source.read()
        if not data:
            raise PictureError(name, "zero bytes: there is nothing to read")
        yield io.BytesIO(data)


def _open_file(path: Path) -> BinaryIO:
    with suppress(OSError, ValueError):
        if data := _read_at_once(path):
            return io.BytesIO(data)
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            raise PictureError(path, f"{UNREADABLE}: {'not a file' if path.exists() else 'no such file'}")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise PictureError(path, f"{UNREADABLE}: {getattr(error, 'strerror', None) or error}") from error
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise PictureError(path, "zero bytes: the file is empty")
    return file


def _read_at_once(path: Path) -> bytes:
    """A file of usual size; empty where it is none. Each call of the system lets another thread in: here are few."""
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe that is opened lets its writer go on
        return b""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        usual = stat.S_ISREG(status.st_mode) and status.st_size <= READ_AT_ONCE
        data = os.read(descriptor, status.st_size) if usual else b""
    finally:
        os.close(descriptor)
    return data if len(data) == status.st_size else b""


def _name(source: Source) -> str:
    if isinstance(source, bytes):
        return "<bytes>"
    return str(source if isinstance(source, str | Path) else getattr(source, "name", "<stream>"))


def _ends(file: BinaryIO) -> tuple[bytes, bytes]:
    """The first and last 64 bytes, to tell a cut file from another kind of file."""
    try:
        file.seek(0)
        head = file.read(64)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 64))
        return head, file.read(64)
    except (OSError, ValueError):
        return b"", b""


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    names = dict.fromkeys((*_TRIED_FIRST, *Image.ID))
    return tuple(name for name in names if name not in _REFUSED_FORMATS)
