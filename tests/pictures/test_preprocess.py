"""Preprocess: the geometry of every fit, the arithmetic, and the way back, to the pixel."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convlens.errors import UsageError
from convlens.pictures import FITS, Preprocess

RNG = np.random.default_rng(0)
IMAGENET = Preprocess((224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), crop_ratio=0.875)


def colours(height: int, width: int) -> np.ndarray:
    """Smooth noise, so that resizing is well defined."""
    small = Image.fromarray(RNG.integers(0, 255, (5, 5, 3), np.uint8))
    return np.array(small.resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 333), (256, 256), (97, 640)])
def test_a_crop_is_imagenets_resize_and_centre_crop(height: int, width: int) -> None:
    picture = colours(height, width)
    scale = 256 / min(height, width)
    resized = Image.fromarray(picture).resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    left, top = (resized.width - 224) // 2, (resized.height - 224) // 2
    expected = np.asarray(resized.crop((left, top, left + 224, top + 224))).transpose(2, 0, 1)
    assert np.abs(IMAGENET.pixels(picture).astype(int) - expected).max() <= 1


def test_a_letterbox_keeps_the_shape_on_the_mean_colour() -> None:
    preprocess = Preprocess((64, 64), "letterbox", mean=(0.2, 0.4, 0.6))
    pixels = preprocess.pixels(np.full((50, 100, 3), 9, np.uint8))
    assert (pixels[:, 16:48] == 9).all()
    assert (pixels[:, :16] == np.array([51, 102, 153])[:, None, None]).all()
    assert (pixels[:, 48:] == np.array([51, 102, 153])[:, None, None]).all()


def test_a_resize_takes_the_whole_picture() -> None:
    picture = np.zeros((40, 80), np.uint8)
    picture[:, 40:] = 200
    pixels = Preprocess((20, 20), "resize", 1, (0.5,), (0.5,)).pixels(picture)
    assert pixels.shape == (1, 20, 20)
    assert pixels[0, 0, 0] == 0 and pixels[0, 0, 19] == 200


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("height", "width"), [(375, 500), (333, 90), (64, 64), (40, 31)])
def test_pixels_for_crops_are_the_pixels_to_half_a_pixel_of_the_picture(fit: str, height: int, width: int) -> None:
    preprocess = Preprocess((64, 48), fit, mean=(0.2, 0.4, 0.6))
    picture = colours(height, width)
    exact = preprocess.pixels(picture).astype(int).transpose(1, 2, 0)
    quick = preprocess.pixels_for_crops(picture)
    assert quick.shape == (64, 48, 3) and quick.dtype == np.uint8
    assert np.abs(quick - exact).mean() <= 2.5
    inside = (slice(1, -1), slice(1, -1))
    steepest = max(np.abs(np.diff(exact, axis=axis)[inside]).max() for axis in (0, 1))
    assert np.abs(quick - exact)[inside].max() <= 1 + steepest


@pytest.mark.parametrize(("height", "width"), [(375, 500), (333, 500), (97, 641), (64, 49), (31, 7), (1, 1)])
def test_pixels_for_crops_are_resized_planes_to_the_bit_with_channels_side_by_side(height: int, width: int) -> None:
    picture = RNG.integers(0, 256, (height, width, 3), np.uint8)
    planes = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None]
    expected = F.interpolate(planes, (64, 48), mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()
    quick = Preprocess((64, 48), "resize").pixels_for_crops(picture)
    assert np.array_equal(quick, expected)
    assert quick.flags.c_contiguous


def test_grey_for_crops_is_grey() -> None:
    picture = RNG.integers(0, 255, (90, 70), np.uint8)
    for channels in (1, 3):
        preprocess = Preprocess((32, 32), "crop", channels, (0.5,) * channels, (0.5,) * channels)
        for seen in (picture, colours(90, 70)) if channels == 1 else (picture,):
            assert np.array_equal(preprocess.pixels_for_crops(seen), preprocess.pixels(seen).transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("fit", "picture", "reduction"),
    [("crop", (120, 300), 2), ("letterbox", (120, 300), 5), ("resize", (120, 300), 5), ("crop", (30, 45), 0.5)],
)
def test_a_reduction_is_in_pixels_of_the_picture(fit: str, picture: tuple[int, int], reduction: float) -> None:
    assert Preprocess((60, 60), fit).geometry(*picture).reduction == reduction


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    picture = RNG.integers(0, 255, (28, 28), np.uint8)
    for fit in FITS:
        assert np.array_equal(Preprocess((28, 28), fit, 1, (0.5,), (0.5,)).pixels(picture)[0], picture)


def test_grey_becomes_colour_by_repeating_and_colour_grey_by_luma() -> None:
    grey = RNG.integers(0, 255, (8, 8), np.uint8)
    assert (Preprocess((8, 8)).pixels(grey) == grey).all()
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    assert (Preprocess((8, 8), channels=1, mean=(0.5,), std=(0.5,)).pixels(red) == 76).all()  # 0.299 * 255


def test_normalising_is_x_minus_mean_over_std() -> None:
    pixels = torch.from_numpy(RNG.integers(0, 255, (2, 3, 4, 5), np.uint8))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET.mean, IMAGENET.std))
    torch.testing.assert_close(IMAGENET.normalise(pixels), (pixels / 255 - mean) / std)
    torch.testing.assert_close(IMAGENET.normalise(pixels.double()), (pixels / 255 - mean) / std)
    assert torch.equal(IMAGENET.inverse(IMAGENET.normalise(pixels)), pixels)


def test_normalising_has_the_same_bits_however_the_channels_lie():
    pixels = torch.randint(0, 256, (4, 3, 6, 5), dtype=torch.uint8)
    together = pixels.contiguous(memory_format=torch.channels_last)
    for kept in (together, together[:, :, 1:5, 1:4], pixels[:, :, 1:5, 1:4], pixels.transpose(2, 3)):
        assert torch.equal(IMAGENET.normalise(kept), IMAGENET.normalise(kept.contiguous()))
        assert torch.equal(IMAGENET.normalise(kept.float(), in_place=True), IMAGENET.normalise(kept.contiguous()))


def test_normalising_leaves_the_pixels_alone_unless_it_is_in_place():
    pixels = torch.full((1, 3, 2, 2), 77.0)
    normal = IMAGENET.normalise(pixels)
    assert torch.equal(pixels, torch.full((1, 3, 2, 2), 77.0))
    assert IMAGENET.normalise(pixels, in_place=True) is pixels and torch.equal(pixels, normal)


def test_a_call_makes_one_batch_of_pictures_of_all_sizes() -> None:
    batch = IMAGENET([colours(30, 50), colours(300, 200), RNG.integers(0, 255, (64, 64), np.uint8)])
    assert batch.shape == (3, 3, 224, 224)
    assert batch.dtype == torch.float32
    assert IMAGENET([]).shape == (0, 3, 224, 224)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(224, 224), (65, 97), (96, 33)])
@pytest.mark.parametrize(("height", "width"), [(300, 401), (401, 300), (351, 351), (1001, 333)])
def test_a_map_is_placed_back_to_the_pixel(fit: str, size: tuple[int, int], height: int, width: int) -> None:
    """A bright block is pushed through, used as the map and placed back: it must lie where it was drawn."""
    preprocess = Preprocess(size, fit, 1, (0.0,), (1.0,), crop_ratio=0.875)
    top, left, bottom, right = preprocess.window(height, width)
    for down, across in [(0.5, 0.5), (0.21, 0.8), (0.77, 0.3)]:
        side = max(height, width) // 12
        y, x = (int(a + share * (b - a - side)) for a, b, share in ((top, bottom, down), (left, right, across)))
        picture = np.zeros((height, width), np.uint8)
        picture[y : y + side, x : x + side] = 255
        placed = preprocess.place(preprocess.pixels(picture)[0], (height, width))
        peak_y, peak_x = np.unravel_index(placed.argmax(), placed.shape)
        assert y <= peak_y < y + side and x <= peak_x < x + side
        rows, columns = np.mgrid[:height, :width] + 0.5
        centre = (placed * rows).sum() / placed.sum(), (placed * columns).sum() / placed.sum()
        assert abs(centre[0] - (y + side / 2)) < 0.75 and abs(centre[1] - (x + side / 2)) < 0.75


@pytest.mark.parametrize("fit", FITS)
def test_placing_is_linear_in_position_and_zero_where_nothing_was_seen(fit: str) -> None:
    preprocess = Preprocess((50, 70), fit, crop_ratio=0.8)
    height, width = 201, 157
    top, left, bottom, right = preprocess.window(height, width)
    rows, columns = np.mgrid[:height, :width] + 0.5
    inside = (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)
    placed = preprocess.place(np.ones((50, 70), np.float32), (height, width))
    np.testing.assert_allclose(placed, inside.astype(np.float32), atol=1e-6)
    first, _, last, _ = preprocess.geometry(height, width).target
    ramp = np.broadcast_to((np.arange(50)[:, None] + 0.5 - first) / (last - first), (50, 70))
    expected = (rows - top) / (bottom - top)
    margin = (rows > top + 0.06 * height) & (rows < bottom - 0.06 * height) & inside
    np.testing.assert_allclose(preprocess.place(ramp, (height, width))[margin], expected[margin], atol=1e-5)


def test_a_map_on_a_picture_smaller_than_the_input_keeps_its_mean() -> None:
    heat = RNG.random((224, 224)).astype(np.float32)
    placed = Preprocess((224, 224), "resize").place(heat, (28, 28))
    assert placed.mean() == pytest.approx(heat.mean(), rel=0.01)
    assert placed.std() < heat.std() / 4  # averaged, not sampled


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(FITS), st.floats(0.3, 1))
def test_any_size_goes_in_and_any_map_comes_back(height: int, width: int, fit: str, crop_ratio: float) -> None:
    preprocess = Preprocess((32, 20), fit, crop_ratio=crop_ratio)
    assert preprocess.pixels(np.zeros((height, width, 3), np.uint8)).shape == (3, 32, 20)
    placed = preprocess.place(np.ones((32, 20)), (height, width))
    assert placed.shape == (height, width)
    assert placed.max() <= 1 + 1e-6 and np.isfinite(placed).all()
    top, left, bottom, right = preprocess.window(height, width)
    assert 0 <= top < bottom <= height and 0 <= left < right <= width


def test_it_survives_json() -> None:
    stored = json.loads(json.dumps(IMAGENET.to_dict()))
    assert Preprocess.from_dict(stored) == IMAGENET
    assert hash(Preprocess.from_dict(stored)) == hash(IMAGENET)
    with pytest.raises(UsageError, match=r"'crop_ration' \(near: crop_ratio"):
        Preprocess.from_dict(stored | {"crop_ration": 1})
    with pytest.raises(UsageError, match="has no size"):
        Preprocess.from_dict({})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": (0, 4)}, "above 0"),
        ({"size": (4,)}, "height, width"),
        ({"fit": "squash"}, "no fit is called 'squash'"),
        ({"channels": 4}, "expected 1"),
        ({"mean": (0.5,)}, "one number for each"),
        ({"std": (0.5, 0.5, 0)}, "above 0"),
        ({"crop_ratio": 1.5}, "at most 1"),
    ],
)
def test_a_wrong_value_is_named(change: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(IMAGENET, **change)


def test_a_wrong_picture_is_named() -> None:
    for picture in (np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)):
        with pytest.raises(UsageError, match="expected uint8"):
            IMAGENET.pixels(picture)
    with pytest.raises(UsageError, match="put it in a list"):
        IMAGENET(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UsageError, match=r"sees \(224, 224\)"):
        IMAGENET.place(np.zeros((7, 7)), (300, 300))
