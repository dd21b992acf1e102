"""The font for a text: DejaVu Sans, which comes with matplotlib, and for what it lacks one that is installed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
USUAL = "DejaVu Sans"  # Latin with every accent, Greek and Cyrillic
END = 0x110000  # behind the last character
BOXES = "Last Resort"  # has a box for every character there is


@dataclass(frozen=True)
class Face:
    """What is asked of a font's file, which is closed: a system may have thousands."""

    family: str
    is_plain: bool  # upright and of usual weight
    codes: np.ndarray  # the characters' numbers, sorted, and END

    def has(self, characters: Iterable[str]) -> bool:
        wanted = np.array([ord(one) for one in characters], np.int32)
        return bool((self.codes[np.searchsorted(self.codes, wanted)] == wanted).all())


def font_for(text: str, size: int) -> Font:
    """The first that has all characters of `text`, of Chinese, Japanese or Korean for one; else DejaVu Sans."""
    return _opened(_file_for(_lacking(text)), size)


def families_for(texts: Iterable[str]) -> list[str]:
    """What matplotlib calls them, for its `family`: a character is taken from the first that has it."""
    from matplotlib.font_manager import fontManager

    known = {entry.fname for entry in fontManager.ttflist}
    files = {file for text in texts if (file := _file_for(_lacking(text))) is not None}
    for file in sorted(files - known):
        fontManager.addfont(file)  # installed after matplotlib looked
    return [USUAL, *sorted({_face(file).family for file in files} - {USUAL})]


def _lacking(text: str) -> frozenset[str]:
    """Characters that DejaVu Sans has not; none where there is no DejaVu Sans to ask."""
    written = {one for one in text if not one.isascii() and one.isprintable()}
    if not written or (usual := _usual_file()) is None:
        return frozenset()
    return frozenset(one for one in written if not _face(usual).has(one))


@cache
def _file_for(lacking: frozenset[str]) -> str | None:
    """An upright font of usual weight before others, and what is installed before what matplotlib brings."""
    if not lacking or (usual := _usual_file()) is None:
        return _usual_file()
    able = [file for file in _installed() if _face(file).has(lacking)]
    if not able:
        able = [str(file) for file in sorted(Path(usual).parent.glob("*.ttf")) if _face(str(file)).has(lacking)]
    return min(able, key=lambda file: not _face(file).is_plain, default=usual)


@cache
def _installed() -> list[str]:
    from matplotlib.font_manager import findSystemFonts

    return sorted(findSystemFonts())


@cache
def _usual_file() -> str | None:
    from matplotlib import get_data_path

    found = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return str(found) if found.is_file() else None


@cache
def _opened(file: str | None, size: int) -> Font:
    try:
        return ImageFont.load_default() if file is None else ImageFont.truetype(file, size)
    except (ImportError, OSError):  # a Pillow without FreeType
        return ImageFont.load_default()


@cache
def _face(file: str) -> Face:
    """A face without characters for what FreeType does not read, and for one that has but boxes."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(file)
    except (OSError, RuntimeError):
        return Face("", False, np.array([END], np.int32))
    codes = [] if BOXES in font.family_name else sorted(font.get_charmap())
    return Face(font.family_name, font.style_flags == 0, np.array([*codes, END], np.int32))
