"""A text is written by a font that has its characters."""

from __future__ import annotations

import gc
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import ft2font
from PIL import Image

from convlens.explanation.ngrams import NGram, ngrams_picture
from convlens.pictures import fonts
from convlens.pictures.fonts import families_for, font_for
from convlens.pictures.sheets import contact_sheet

CIRCLED = "Ⓐ"  # not in DejaVu Sans, and in a font that matplotlib brings, too
NOWHERE = "\U0010fffd"  # in no font: a box is drawn


def sheet(label: str) -> np.ndarray:
    return np.asarray(contact_sheet([np.full((8, 8), 128, np.uint8)], labels=[label], title=label))


def test_what_the_usual_font_has_it_writes() -> None:
    for text in ("", "rose", "Ångström", "Тюльпан", "ἄνθος"):
        assert Path(font_for(text, 11).path).name == "DejaVuSans.ttf", text  # type: ignore[union-attr]
    assert families_for(["rose", "Тюльпан"]) == ["DejaVu Sans"]


def test_what_it_lacks_another_writes() -> None:
    assert not np.array_equal(sheet(CIRCLED), sheet(NOWHERE))
    assert np.array_equal(sheet(NOWHERE), sheet("\U0010fffc"))  # two boxes


def test_each_font_is_opened_once_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[weakref.ref[ft2font.FT2Font]] = []

    def counted(file: str, real: Any = ft2font.FT2Font) -> ft2font.FT2Font:
        font = real(file)
        opened.append(weakref.ref(font))
        return font

    for cached in (fonts._file_for, fonts._face):
        cached.cache_clear()
    monkeypatch.setattr(ft2font, "FT2Font", counted)
    brought = [str(file) for file in Path(str(fonts._usual_file())).parent.glob("*.ttf")]
    monkeypatch.setattr(fonts, "_installed", lambda: brought)
    for number in range(20):
        font_for(chr(0x20100 + number), 11)  # rare Chinese: in none of them, so that each is asked
    gc.collect()
    assert len(opened) == len(brought) and not any(one() for one in opened)


def test_a_chart_of_words_has_them_all() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib says which glyph is missing
        made = ngrams_picture([NGram("conv", 0, 3.0, 0, 0, 1)], [[CIRCLED]], title=CIRCLED)
    assert isinstance(made, Image.Image)
    assert len(families_for([CIRCLED])) == 2
