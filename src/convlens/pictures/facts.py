"""What a file says about its picture before and beside the pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath

from PIL import ExifTags, Image

from convlens.pictures.channels import TIFF_BITS

_SAME_FAMILY = {"MPO": "JPEG", "DIB": "BMP", "CUR": "ICO"}
_BITS_OF_MODE = {"1": 1, "I;16": 16, "I;16B": 16, "I;16L": 16, "I;16N": 16, "I": 32, "F": 32}


@dataclass(frozen=True)
class PictureFacts:
    """`width` and `height` are those of the upright picture at full size; `bits` are per channel, as in the file."""

    width: int
    height: int
    format: str
    mode: str
    bits: int
    num_frames: int
    orientation: int
    has_alpha: bool
    suffix_format: str | None

    @property
    def wrong_suffix(self) -> bool:
        """The name promises another format than the file has."""
        return self.suffix_format is not None and self.suffix_format != family(self.format)


def family(file_format: str) -> str:
    """ "MPO" -> "JPEG": formats that share their suffixes in practice."""
    return _SAME_FAMILY.get(file_format, file_format)


def suffix_format(name: str) -> str | None:
    """What "photo.jpg" promises ("JPEG"); None where the suffix says nothing."""
    promised = _suffixes().get(PurePath(name).suffix.lower())
    return None if promised is None else family(promised)


@cache
def _suffixes() -> dict[str, str]:
    Image.init()
    return dict(Image.registered_extensions())


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation 1..8; 1 where it is absent, damaged or out of range."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged EXIF block makes Pillow raise anything; the picture itself is fine
        return 1
    return orientation if isinstance(orientation, int) and orientation in range(1, 9) else 1


def num_frames_of(image: Image.Image) -> int:
    """Frames or pages; 1 where counting them fails, for the first is all we need."""
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # the first frame was read; damage behind it is not ours
        return 1


def has_alpha(image: Image.Image) -> bool:
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def bits_of(image: Image.Image) -> int:
    """Bits per channel in the file; must be asked before the pixels are loaded, which forgets them."""
    tags = getattr(image, "tag_v2", {})
    if TIFF_BITS in tags:
        bits = tags[TIFF_BITS]
        return int(bits[0] if isinstance(bits, tuple) else bits)
    if image.format == "PNG":
        return _png_bits(image)
    if image.format == "PPM" and getattr(image, "tile", None):
        return _ppm_bits(image)
    return _BITS_OF_MODE.get(image.mode, 8)


def _png_bits(image: Image.Image) -> int:
    """Pillow's raw mode ends in the bits: "L;2", "RGB;16B"; without a number they are 1 ("1") or 8."""
    tile = getattr(image, "tile", None)
    raw_mode = str(tile[0][3]) if tile else ""
    found = re.search(r";(\d+)", raw_mode)
    return int(found[1]) if found else _BITS_OF_MODE.get(image.mode, 8)


def _ppm_bits(image: Image.Image) -> int:
    """The last argument of the decoder is the value of white: 255, 4095, 65535."""
    arguments = image.tile[0][3]  # type: ignore[attr-defined]
    white = arguments[-1] if isinstance(arguments, tuple) else None
    if isinstance(white, int) and white > 1 and image.mode != "1":
        return white.bit_length()
    return 16 if image.mode == "I" else _BITS_OF_MODE.get(image.mode, 8)
