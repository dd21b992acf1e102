"""Contact sheets: many small pictures on one white page, each with its caption."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from PIL import Image, ImageDraw

from convlens.errors import UsageError, counted
from convlens.pictures.fonts import Font, font_for

INK, PALE_INK = (33, 37, 41), (108, 117, 125)
TITLE_SIZE, CAPTION_SIZE = 14, 11
_MARGIN, _GAP, _CAPTION_GAP = 16, 10, 4
SHARE = re.compile(r" [<>]?\s?[\d.]+\s?%$")


def contact_sheet(
    tiles: Sequence[np.ndarray],
    *,
    labels: Sequence[str] | None = None,
    columns: int | None = None,
    tile: int = 96,
    title: str | None = None,
) -> Image.Image:
    """Pictures uint8 (H, W) or (H, W, 3) of any size, in rows -> one RGB image.

    Small ones are enlarged by whole pixels and large ones averaged down to fit `tile`; shapes are kept. A label may
    have several lines; what is wider than its tile is cut short with "…". A title goes on in the next line.
    """
    if not tiles:
        raise UsageError("a contact sheet of no pictures was asked for; pass at least one")
    if labels is not None and len(labels) != len(tiles):
        raise UsageError(
            f"{counted(len(labels), 'label')} came for {counted(len(tiles), 'picture')}; one each is needed"
        )
    columns = min(columns or ceil(sqrt(1.5 * len(tiles))), len(tiles))  # pages are wider than high
    captions = [label.split("\n") for label in labels or []]
    rows = _rows([_fit(picture, tile) for picture in tiles], captions, columns)
    width = max(columns * (tile + _GAP) - _GAP, _widest_word(title or ""))
    lines = _wrapped(title, width) if title else []
    line_height = _line_height(TITLE_SIZE)
    heading = len(lines) * line_height + _GAP if lines else 0
    width += 2 * _MARGIN
    height = 2 * _MARGIN + heading + sum(row.height for row in rows) + (len(rows) - 1) * _GAP
    sheet = Image.new("RGB", (width, height), "white")
    for number, line in enumerate(lines):
        corner = (_MARGIN, _MARGIN + number * line_height)
        ImageDraw.Draw(sheet).text(corner, line, INK, font_for(line, TITLE_SIZE))
    top = _MARGIN + heading
    for row in rows:
        _draw_row(sheet, row, top, tile)
        top += row.height + _GAP
    return sheet


@dataclass(frozen=True)
class _Row:
    images: list[Image.Image]
    captions: list[list[str]]

    @property
    def picture_height(self) -> int:
        return max(image.height for image in self.images)

    @property
    def height(self) -> int:
        num_lines = max((len(lines) for lines in self.captions), default=0)
        return self.picture_height + (_CAPTION_GAP + num_lines * _line_height(CAPTION_SIZE) if num_lines else 0)


def _rows(images: list[Image.Image], captions: list[list[str]], columns: int) -> list[_Row]:
    starts = range(0, len(images), columns)
    return [_Row(images[start : start + columns], captions[start : start + columns]) for start in starts]


def _fit(picture: np.ndarray, tile: int) -> Image.Image:
    image = Image.fromarray(picture)
    times = tile // max(image.size)
    if times >= 1:
        return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    image.thumbnail((tile, tile), Image.Resampling.LANCZOS)
    return image


def _draw_row(sheet: Image.Image, row: _Row, top: int, tile: int) -> None:
    """Pictures stand on one line, each over its caption."""
    ground = top + row.picture_height
    for column, image in enumerate(row.images):
        left = _MARGIN + column * (tile + _GAP) + (tile - image.width) // 2
        sheet.paste(image, (left, ground - image.height))
    draw = ImageDraw.Draw(sheet)
    for column, lines in enumerate(row.captions):
        _write(draw, lines, (_MARGIN + column * (tile + _GAP), ground + _CAPTION_GAP), tile)


def _write(draw: ImageDraw.ImageDraw, lines: list[str], corner: tuple[int, int], tile: int) -> None:
    for number, line in enumerate(lines):
        font = font_for(line, CAPTION_SIZE)
        fitted = _fitted(line, tile, font)
        left = corner[0] + (tile - font.getlength(fitted)) / 2
        ink = INK if number == 0 else PALE_INK
        draw.text((left, corner[1] + number * _line_height(CAPTION_SIZE)), fitted, ink, font)


def _widest_word(title: str) -> int:
    return max((ceil(font_for(word, TITLE_SIZE).getlength(word)) for word in title.split()), default=0)


def _wrapped(title: str, width: int) -> list[str]:
    lines = [""]
    for word in title.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if font_for(longer, TITLE_SIZE).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _fitted(text: str, width: int, font: Font) -> str:
    """The text, or as much of its beginning as fits with "…", and its share where it ends in one: "a long na… 93 %"."""
    if font.getlength(text) <= width:
        return text
    share = SHARE.search(text)
    end = f"…{share[0]}" if share and font.getlength(f"…{share[0]}") < width / 2 else "…"
    kept = len(text) - len(end) + 1
    while kept and font.getlength(text[:kept].rstrip() + end) > width:
        kept -= 1
    return text[:kept].rstrip() + end


def _line_height(size: int) -> int:
    return ceil(font_for("", size).getbbox("Ågjp|")[3]) + 2
