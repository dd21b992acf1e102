"""A text is written by a font that has its characters."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from convlens.explanation.ngrams import NGram, ngrams_picture
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


def test_a_chart_of_words_has_them_all() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib says which glyph is missing
        made = ngrams_picture([NGram("conv", 0, 3.0, 0, 0, 1)], [[CIRCLED]], title=CIRCLED)
    assert isinstance(made, Image.Image)
    assert len(families_for([CIRCLED])) == 2
