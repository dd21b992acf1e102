"""Fingerprints: equal for equal pixels whatever the file, near for what looks alike."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageEnhance

from convlens.data.hashing import content_hash, dhash, dhashes, is_flat, look
from convlens.pictures import decode

RNG = np.random.default_rng(0)


def scene(seed: int, height: int = 120, width: int = 160) -> np.ndarray:
    """Smooth random blobs of colour."""
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (7, 9, 3), np.uint8))
    return np.array(small.resize((width, height), Image.Resampling.BICUBIC))


def saved(picture: np.ndarray, file_format: str, **options: object) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, file_format, **options)
    return decode(file.getvalue())


def distance(first: np.ndarray, second: np.ndarray) -> int:
    return (dhash(first) ^ dhash(second)).bit_count()


def test_equal_pixels_hash_equal_from_every_lossless_format() -> None:
    for picture in (scene(0), scene(0)[..., 0]):
        hashes = {content_hash(saved(picture, name)) for name in ("PNG", "BMP", "TIFF", "PPM")}
        assert hashes == {content_hash(picture)}
        assert len(content_hash(picture)) == 32


def test_grey_stored_as_colour_hashes_as_grey() -> None:
    grey = scene(0)[..., 0]
    assert content_hash(np.stack([grey] * 3, -1)) == content_hash(grey) == content_hash(grey[..., None])


def test_one_level_of_one_pixel_or_another_shape_changes_the_hash() -> None:
    picture = scene(0)
    changed = picture.copy()
    changed[60, 80, 1] ^= 1
    assert content_hash(changed) != content_hash(picture)
    assert content_hash(picture[..., 0].reshape(160, 120)) != content_hash(picture[..., 0])


def test_views_hash_like_copies() -> None:
    picture = scene(0)
    assert content_hash(picture[::-1, ::2]) == content_hash(picture[::-1, ::2].copy())


def test_copies_saved_again_are_near_and_other_scenes_are_far() -> None:
    picture = scene(1)
    image = Image.fromarray(picture)
    half = np.asarray(image.resize((80, 60), Image.Resampling.BILINEAR))
    brighter = np.asarray(ImageEnhance.Brightness(image).enhance(0.8))
    for copy in (saved(picture, "JPEG", quality=50), half, brighter):
        assert distance(picture, copy) <= 3
    assert min(distance(picture, scene(seed)) for seed in range(2, 40)) > 8


def test_bits_say_where_the_grey_rises() -> None:
    rising = np.broadcast_to(np.arange(0, 180, 1, np.uint8), (64, 180))
    assert dhash(rising) == 2**64 - 1
    assert dhash(rising[:, ::-1]) == 0
    assert dhashes(np.stack([look(rising), look(rising[:, ::-1])])).tolist() == [2**64 - 1, 0]


def test_flat_pictures_are_known_as_such() -> None:
    noisy_grey = (128 + RNG.integers(-1, 2, (64, 64))).astype(np.uint8)
    looks = np.stack([look(noisy_grey), look(scene(0))])
    assert is_flat(looks).tolist() == [True, False]
