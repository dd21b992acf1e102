"""Load an opened image, with what Pillow needs around it: a quiet libtiff, drafts, and a look at a PNG's checksums.

An icon may hold PNGs: theirs too.
"""

from __future__ import annotations

import ctypes
import io
import re
import struct
import zlib
from functools import cache
from typing import BinaryIO

from PIL import Image, _imaging

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_WITHIN = ("ICO", "ICNS")
_DRAFT_FORMATS = ("JPEG", "MPO")


def load(image: Image.Image, file: BinaryIO) -> None:
    """Decode the pixels. A PNG whose damage lies behind its last pixel is whole: nothing is missing.

    OSError for one whose pixels are damaged or were not written to their end, which Pillow fills with what comes.
    """
    if image.format == "TIFF":
        silence_libtiff()
    unchecked = image.format in _PNG_WITHIN or (image.format == "PNG" and bool(getattr(image, "tile", False)))
    try:
        image.load()
    except OSError:
        if image.format != "PNG" or getattr(image, "tile", True) or not _pixels_complete(file):
            raise
        image.load()  # the pixels are there; only the chunks behind them were refused
    else:
        pngs = [] if not unchecked else [file] if image.format == "PNG" else _pngs_within(file)
        if not all(_checksums_hold(png) or _pixels_complete(png) for png in pngs):
            raise OSError("the checksum of its pixels does not hold: damaged, or not written to its end; copy it again")


def _pngs_within(file: BinaryIO) -> list[BinaryIO]:
    """The PNGs that an icon holds; raw pixels do not look like one."""
    file.seek(0)
    data = file.read()
    return [io.BytesIO(data[found.start() :]) for found in re.finditer(re.escape(_PNG_START), data)]


def draft(image: Image.Image, short_side: int | None) -> bool:
    """Let libjpeg skip what a smaller picture does not need; the scale depends on the file and `short_side` alone."""
    times = min(image.size) // max(1, short_side or max(image.size))
    if image.format not in _DRAFT_FORMATS or times < 2:
        return False
    full_size = image.size
    image.draft(None, (image.width // times, image.height // times))
    return image.size != full_size


def _checksums_hold(file: BinaryIO) -> bool:
    """True where every IDAT chunk of a decoded PNG has its own CRC-32; Pillow does not look, and fills half a file.

    Costs 0.5 to 2.5 % of decoding pictures, 4 % of decoding noise.
    """
    file.seek(8)
    begun = False
    try:
        while True:
            length, kind = struct.unpack(">I4s", file.read(8))
            if kind == b"IDAT":
                begun = True
                if zlib.crc32(file.read(length), zlib.crc32(kind)) != int.from_bytes(file.read(4), "big"):
                    return False
            elif begun:
                return True  # they follow each other
            else:
                file.seek(length + 4, 1)
    except struct.error:
        return True  # cut behind its pixels


def _pixels_complete(file: BinaryIO) -> bool:
    """True where the compressed pixels of a PNG end as they should, with the right checksum of their own."""
    file.seek(8)
    inflate = zlib.decompressobj()
    try:
        while not inflate.eof:
            length, kind = struct.unpack(">I4s", file.read(8))
            data = file.read(length)
            file.read(4)
            if kind == b"IDAT":
                while data and not inflate.eof:  # in pieces, so that a bomb never unfolds at once
                    inflate.decompress(data, 1 << 20)
                    data = inflate.unconsumed_tail
    except (struct.error, zlib.error):
        return False
    return True


@cache
def silence_libtiff() -> None:
    """libtiff prints its errors to stderr from C; Pillow raises them too, so its own printing is turned off, once."""
    try:
        library = ctypes.CDLL(_imaging.__file__)  # finds libtiff among the libraries that Pillow has loaded
        for setter in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setter(None)
    except (AttributeError, OSError):
        return  # a Pillow that hides or lacks libtiff: damaged TIFF files may print lines, and read the same
