"""Colours, overlays, contact sheets and encoded bytes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from convlens.errors import UsageError
from convlens.pictures import colour, contact_sheet, decode, overlay, png_bytes, sheets, thumbnail
from convlens.pictures.fonts import font_for

RNG = np.random.default_rng(0)


def test_colours_run_from_the_first_to_the_last_of_the_map() -> None:
    drawn = colour(np.array([[0.0, 1.0, -3.0, 9.0, np.nan]]))
    assert drawn.shape == (1, 5, 3) and drawn.dtype == np.uint8
    dark_violet, yellow = [68, 1, 84], [253, 231, 36]
    assert drawn[0].tolist() == [dark_violet, yellow, dark_violet, yellow, dark_violet]
    with pytest.raises(UsageError, match="near: viridis"):
        colour(np.zeros((2, 2)), "virids")


def test_an_overlay_shows_the_picture_where_the_map_is_zero() -> None:
    grey = RNG.integers(0, 255, (9, 7), np.uint8)
    assert (overlay(grey, np.zeros((9, 7))) == grey[..., None]).all()
    heat = np.ones((9, 7))
    assert (overlay(grey, heat, opacity=1) == colour(heat, "inferno")).all()
    assert (overlay(np.stack([grey] * 3, -1), heat, opacity=0) == grey[..., None]).all()


def test_an_overlay_refuses_a_map_that_was_not_placed() -> None:
    with pytest.raises(UsageError, match="place it first"):
        overlay(np.zeros((9, 7), np.uint8), np.zeros((7, 7)))
    with pytest.raises(UsageError, match="opacity is 2"):
        overlay(np.zeros((7, 7), np.uint8), np.zeros((7, 7)), opacity=2)


@pytest.mark.parametrize(("count", "columns"), [(1, None), (7, None), (7, 3), (2, 9)])
def test_every_picture_stands_whole_on_the_sheet(count: int, columns: int | None) -> None:
    tiles = [np.full((5 + number, 9, 3), (255, 0, number), np.uint8) for number in range(count)]
    sheet = np.asarray(contact_sheet(tiles, columns=columns, tile=40, title="A title that is far too long for it"))
    for number in range(count):
        enlarged = 16 * (5 + number) * 9 if max(9, 5 + number) <= 10 else 9 * 9 * (5 + number)
        assert (sheet == (255, 0, number)).all(axis=2).sum() == enlarged
    border = [sheet[:8], sheet[-8:], sheet[:, :8], sheet[:, -8:]]
    assert all((edge == 255).all() for edge in border)


def test_captions_are_drawn_below_and_stay_in_their_column() -> None:
    black = np.zeros((50, 50), np.uint8)
    without = contact_sheet([black, black], columns=2, tile=50)
    labelled = contact_sheet([black, black], labels=["a caption far too wide for this\nsecond", ""], columns=2, tile=50)
    assert labelled.width == without.width
    assert labelled.height > without.height + 24
    ink = np.asarray(labelled.convert("L"))[16 + 50 + 2 :] < 200
    assert ink[:, 16:66].any() and not ink[:, 67:].any() and not ink[:, :15].any()


def test_a_title_goes_on_below_and_a_long_word_widens_the_sheet() -> None:
    tile = np.zeros((50, 50), np.uint8)

    def ink(title: str) -> tuple[int, tuple[int, int]]:
        sheet = contact_sheet([tile], tile=50, title=title)
        return int((255.0 - np.asarray(sheet.convert("L"))).sum()), sheet.size

    (one, (width, height)), (four, four_size) = ink("layer"), ink("layer layer layer layer")
    nothing = int((255.0 - np.asarray(contact_sheet([tile], tile=50).convert("L"))).sum())
    assert four - nothing == 4 * (one - nothing)  # every word is there
    assert four_size[0] == width and four_size[1] > height + 3 * 14
    assert ink("stages.0.1.expand3x3")[1][0] > 140 > width


def test_a_sheet_says_what_it_misses() -> None:
    with pytest.raises(UsageError, match="no pictures"):
        contact_sheet([])
    with pytest.raises(UsageError, match="1 label came for 2"):
        contact_sheet([np.zeros((2, 2), np.uint8)] * 2, labels=["a"])


def test_thumbnails_are_small_jpegs_that_keep_the_shape() -> None:
    data = thumbnail(RNG.integers(0, 255, (300, 200, 3), np.uint8), side=96)
    assert Image.open(io.BytesIO(data)).format == "JPEG"
    assert decode(data).shape[:2] == (96, 64)
    assert decode(thumbnail(np.zeros((28, 28), np.uint8))).shape == (28, 28)


def test_png_bytes_are_lossless() -> None:
    picture = RNG.integers(0, 255, (13, 17, 3), np.uint8)
    assert np.array_equal(decode(png_bytes(picture)), picture)
    assert np.array_equal(decode(png_bytes(Image.fromarray(picture))), picture)


@pytest.mark.parametrize(
    ("text", "end"), [("a name that is far too long 93 %", "… 93 %"), ("a name that is far too long indeed", "…")]
)
def test_what_is_too_wide_is_cut_short_and_keeps_its_share(text: str, end: str) -> None:
    font = font_for("", sheets.CAPTION_SIZE)
    fitted = sheets._fitted(text, 100, font)
    assert fitted.startswith("a name") and fitted.endswith(end) and font.getlength(fitted) <= 100
    assert sheets._fitted(text, 1000, font) == text
    assert sheets._fitted(text, 20, font).endswith("…")
