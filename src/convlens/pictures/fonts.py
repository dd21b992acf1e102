"""The font for a text: DejaVu Sans, which comes with matplotlib, and for what it lacks one that is installed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
USUAL = "DejaVu Sans"  # Latin with every accent, Greek and Cyrillic
BOXES = "Last Resort"  # has a box for every character there is


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
    return [USUAL, *sorted({_face(file).family_name for file in files} - {USUAL})]


def _lacking(text: str) -> frozenset[str]:
    """Characters that DejaVu Sans has not; none where there is no DejaVu Sans to ask."""
    written = {one for one in text if not one.isascii() and one.isprintable()}
    if not written or (usual := _usual_file()) is None:
        return frozenset()
    return frozenset(one for one in written if not _has(_face(usual), one))


@cache
def _file_for(lacking: frozenset[str]) -> str | None:
    """An upright font of usual weight before others, and what is installed before what matplotlib brings."""
    if not lacking or (usual := _usual_file()) is None:
        return _usual_file()
    from matplotlib.font_manager import findSystemFonts

    able = [file for file in sorted(findSystemFonts()) if _has_all(file, lacking)]
    if not able:
        able = [str(file) for file in sorted(Path(usual).parent.glob("*.ttf")) if _has_all(str(file), lacking)]
    return min(able, key=lambda file: _face(file).style_flags != 0, default=usual)


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


def _has_all(file: str, characters: Iterable[str]) -> bool:
    try:
        face = _face(file)
    except (OSError, RuntimeError):  # no font that FreeType reads
        return False
    return BOXES not in face.family_name and all(_has(face, one) for one in characters)


@lru_cache(maxsize=8)  # a system may have thousands, and each may keep its file open
def _face(file: str) -> Any:
    from matplotlib.ft2font import FT2Font

    return FT2Font(file)


def _has(face: Any, character: str) -> bool:
    return face.get_char_index(ord(character)) != 0
