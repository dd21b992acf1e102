"""Large JPEGs are scanned at a reduced size, and pixels are compared where sizes and looks agree."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.data import Looks, content_hash, file_hash, open_images, scan
from convlens.data.hashing import look, tint
from convlens.data.reduced import LARGE, REDUCED, SAME_LOOK, large, same_looks
from convlens.pictures import decode

SIDES = (512, 513, 767, 1022, 1023, 1024, 1025, 1300, 2300, 4101)


def photograph(seed: int, height: int, width: int) -> Image.Image:
    """Sharp edges where the cells of a look meet, under fine noise."""
    draw = np.random.default_rng(seed)
    blocks = 200 * draw.integers(0, 2, (16, 18, 1), np.uint8).repeat(3, axis=2)
    edges = np.asarray(Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST))
    return Image.fromarray((edges + draw.integers(0, 55, (height, width, 3))).astype(np.uint8))


def looks_of(*pictures: np.ndarray) -> Looks:
    greys = np.stack([look(picture) for picture in pictures])
    tints = np.array([(0, 0)] * len(pictures), np.int16)
    heights, widths = np.array([picture.shape[:2] for picture in pictures], np.int32).T
    return Looks(greys, tints, heights, widths)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_reduced_decoding_of_a_jpeg_has_the_look_of_the_whole(tmp_path, side, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "a.jpg"
    photograph(side, side, side + side // 3).save(file, quality=80, exif=exif)
    whole, reduced = decode(file), decode(file, short_side=REDUCED)
    assert min(reduced.shape[:2]) < min(whole.shape[:2])
    differs = np.abs(look(whole).astype(int) - look(reduced))
    assert differs.max() <= (2 if orientation == 1 else SAME_LOOK)
    assert np.abs(np.subtract(tint(whole), tint(reduced))).max() <= 1


def test_same_looks_are_those_of_the_same_size_that_differ_a_little():
    first = np.asarray(photograph(0, 512, 600))
    other = np.asarray(photograph(1, 512, 600))
    changed = first.copy()
    changed[100, 100] ^= 255
    looks = looks_of(first, other, changed, first[:, :599], first.swapaxes(0, 1), other)
    found = [sorted(alike.tolist()) for alike in same_looks(looks, looks)]
    assert found == [[0, 2], [1, 5], [0, 2], [3], [4], [1, 5]]
    assert [alike.tolist() for alike in same_looks(looks.at([0]), looks.at([]))] == [[]]


def test_one_bright_cell_is_another_look():
    first = np.full((600, 600), 100, np.uint8)
    marked = first.copy()
    marked[:37, :33] = 100 + SAME_LOOK + 2
    found = [alike.tolist() for alike in same_looks(looks_of(first), looks_of(first, marked))]
    assert found == [[0]]


def test_only_pictures_that_jpeg_may_halve_are_large():
    pictures = [np.zeros(shape, np.uint8) for shape in ((LARGE, 2000), (2000, LARGE - 1))]
    assert large(looks_of(*pictures)).tolist() == [True, False]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photographs as JPEG, and one as a smaller JPEG."""
    for name, seed, height in (("a/one.jpg", 1, 700), ("b/two.jpg", 2, 700), ("b/small.jpg", 3, 400)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        photograph(seed, height, 800).save(tmp_path / name)
    return tmp_path


def hashes_in(folder: Path, **options) -> dict[str, str | None]:
    images = open_images(folder)
    keys = [images.reader.key(index) for index in range(len(images))]
    return dict(zip(keys, scan(images, **options).hashes, strict=True))


def test_a_large_jpeg_is_named_by_its_file_and_a_small_one_by_its_pixels(folder):
    found = hashes_in(folder)
    assert found["a/one.jpg"] == file_hash(folder / "a/one.jpg")
    assert found["b/small.jpg"] == content_hash(decode(folder / "b/small.jpg"))


def test_an_exact_scan_names_all_by_their_pixels(folder):
    assert hashes_in(folder, exact=True) == {
        key: content_hash(decode(folder / key)) for key in ("a/one.jpg", "b/small.jpg", "b/two.jpg")
    }


# fmt: off
COPIES = {
    "PNG":                lambda file, copy: Image.open(file).save(copy.with_suffix(".png")),
    "another comment":    lambda file, copy: copy.write_bytes(b"\xff\xd8\xff\xfe\x00\x04hi" + file.read_bytes()[2:]),
    "the same file":      lambda file, copy: shutil.copy(file, copy),
}
# fmt: on


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_without_loss_is_an_exact_duplicate_and_a_conflict_of_labels(folder, kind):
    COPIES[kind](folder / "a/one.jpg", folder / "b/copy.jpg")
    result = scan(open_images(folder))
    groups = {found.kind: found.groups for found in result.findings}
    assert [len(group) for group in groups["exact_duplicate"]] == [2]
    assert [len(group) for group in groups["label_conflict"]] == [2]


def test_a_photograph_with_one_other_pixel_is_no_duplicate(folder):
    pixels = np.array(Image.open(folder / "a/one.jpg"))
    pixels[350, 400] ^= 128
    Image.fromarray(pixels).save(folder / "a/changed.png")
    result = scan(open_images(folder))
    assert "exact_duplicate" not in {found.kind for found in result.findings}
    assert len(set(result.hashes)) == 4
