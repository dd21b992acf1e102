"""Decoded pixels are kept in the user's cache, and are never anything but what decoding gives."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL
import pytest
import torch
from PIL import Image

from convlens.data import Images, decode_pixels, open_images, scan
from convlens.data import decoded as decoded_file
from convlens.data import pixels as pixels_file
from convlens.errors import StorageError
from convlens.pictures import Preprocess
from convlens.storage import cache as cache_file
from convlens.storage import cache_dir

SMALL = Preprocess((16, 16))
CHOSEN = (3, 0, 5, 4)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pixels_file, "WORTH_S", -1.0)


@pytest.fixture
def images(tmp_path: Path) -> Images:
    """Six photographs in two classes, scanned."""
    draw = np.random.default_rng(0)
    for number in range(6):
        file = tmp_path / "pictures" / ("cat", "dog")[number % 2] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(draw.integers(0, 256, (5, 6, 3), np.uint8))
        small.resize((90 + number, 70), Image.Resampling.BICUBIC).save(file, quality=95)
    opened = open_images(tmp_path / "pictures")
    return replace(opened, hashes=scan(opened).hashes)


@pytest.fixture
def no_room_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels_file, "memory_bytes", lambda: 4)


def reads(images: Images, *, preprocess: Preprocess = SMALL, chosen: tuple[int, ...] = CHOSEN, **options: bool) -> int:
    """How many pictures are decoded when these pixels are asked for; they must be the right ones."""
    counted = Counted(images)
    pixels = decode_pixels(replace(images, reader=counted), chosen, preprocess, **options)
    assert torch.equal(pixels, decode_pixels(replace(images, hashes=None), chosen, preprocess, **options))
    return counted.count


class Counted:
    """A reader that counts."""

    def __init__(self, images: Images) -> None:
        self.reader, self.count = images.reader, 0

    def __len__(self) -> int:
        return len(self.reader)

    def path(self, index: int) -> Path | None:
        return self.reader.path(index)

    def read(self, index: int, *, short_side: int | None = None) -> np.ndarray:
        self.count += 1
        return self.reader.read(index, short_side=short_side)


def entries() -> list[Path]:
    return sorted((cache_dir() / "pixels").glob("*"))


def test_the_second_time_nothing_is_decoded_and_one_line_says_so(images: Images) -> None:
    said: list[str] = []
    first = decode_pixels(images, CHOSEN, SMALL, tell=said.append)
    assert said == []
    assert reads(images) == 0
    assert torch.equal(decode_pixels(images, CHOSEN, SMALL, tell=said.append), first)
    assert said == [f"4 decoded pictures of 16×16 px from the cache {cache_dir() / 'pixels'}"]


def test_what_is_decoded_in_an_instant_is_not_kept(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("CONVLENS_CACHE", str(images.source) + "-cache")
    assert pixels_file.WORTH_S == 2.0
    assert reads(images) == reads(images) == 4
    assert not cache_dir().exists()


@pytest.mark.usefixtures("no_room_in_memory")
def test_pictures_that_may_not_be_kept_leave_nothing_behind(images: Images) -> None:
    decode_pixels(replace(images, hashes=None), CHOSEN, SMALL)
    decode_pixels(replace(images, hashes=(None,) * 6), CHOSEN, SMALL)
    digits = open_images("digits")
    decode_pixels(replace(digits, hashes=("one",) * len(digits)), range(9), Preprocess((16, 16), "crop", 1, (0,), (1,)))
    assert entries() == []


GEOMETRY = [
    {"preprocess": replace(SMALL, size=(16, 24))},
    {"preprocess": replace(SMALL, fit="resize")},
    {"preprocess": replace(SMALL, crop_ratio=0.5)},
    {"preprocess": Preprocess((16, 16), "crop", 1, (0.5,), (0.5,))},
    {"chosen": (0, 3, 5, 4)},
    {"for_crops": True},
]


@pytest.mark.parametrize("other", GEOMETRY)
def test_other_pixels_are_another_entry(images: Images, other: dict) -> None:
    assert reads(images) == reads(images, **other) == 4
    assert reads(images) == reads(images, **other) == 0
    assert len(entries()) == 2


def test_other_contents_another_pillow_torch_or_format_are_another_entry(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reads(images) == 4
    assert images.hashes is not None
    assert reads(replace(images, hashes=(*images.hashes[:-1], "changed"))) == 4
    monkeypatch.setattr(PIL, "__version__", "99")
    assert reads(images) == 4
    monkeypatch.setattr(torch, "__version__", "99")
    assert reads(images) == 4
    monkeypatch.setattr(decoded_file, "FORMAT", 99)
    assert reads(images) == 4


def test_how_pixels_are_normalised_is_no_part_of_an_entry_but_a_ground_is(images: Images) -> None:
    bright = {"mean": (0.9, 0.9, 0.9), "std": (0.1, 0.1, 0.1)}
    assert (reads(images), reads(images, preprocess=replace(SMALL, **bright))) == (4, 0)
    letterbox = replace(SMALL, fit="letterbox")
    assert (reads(images, preprocess=letterbox), reads(images, preprocess=replace(letterbox, **bright))) == (4, 4)


def flip_a_bit(entry: Path) -> None:
    data = bytearray(entry.read_bytes())
    data[700] ^= 1
    entry.write_bytes(data)


def cut(entry: Path) -> None:
    os.truncate(entry, entry.stat().st_size - 100)


def empty(entry: Path) -> None:
    entry.write_bytes(b"")


def lengthen(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes() + b"more")


def replace_by_a_folder(entry: Path) -> None:
    entry.unlink()
    entry.mkdir()


@pytest.mark.parametrize("damage", [flip_a_bit, cut, empty, lengthen, replace_by_a_folder])
@pytest.mark.parametrize("mapped", [False, True])
def test_a_damaged_entry_is_decoded_again(images: Images, damage, mapped: bool, monkeypatch) -> None:
    if mapped:
        monkeypatch.setattr(pixels_file, "memory_bytes", lambda: 4)
    assert reads(images) == 4
    damage(entries()[0])
    assert reads(images) >= 4
    if damage is not replace_by_a_folder:
        assert reads(images) == 0


def no_folder() -> None:
    cache_dir().parent.mkdir(exist_ok=True)
    cache_dir().write_text("a file stands in its place")


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_more(*_: object) -> None:
    raise StorageError("the cache needs 3.0 GB and its disk has 1.0 GB free")


@pytest.mark.parametrize("trouble", ["no folder", "full", "no more"])
@pytest.mark.parametrize("mapped", [False, True])
def test_a_cache_without_room_stops_nothing(images: Images, trouble: str, mapped: bool, monkeypatch) -> None:
    if mapped:
        monkeypatch.setattr(pixels_file, "memory_bytes", lambda: 4)
    if trouble == "no folder":
        no_folder()
    elif trouble == "full":
        monkeypatch.setattr(Path, "replace", refuse)
    else:
        monkeypatch.setattr(decoded_file, "make_room", no_more)
    assert reads(images) >= 4
    assert not [file for file in cache_dir().rglob("*") if file.is_file()]


@pytest.mark.usefixtures("no_room_in_memory")
def test_where_no_disk_has_room_for_what_memory_has_not_one_line_says_so(images: Images, monkeypatch) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(StorageError, match="the disk is full; free some space or set CONVLENS_CACHE"):
        decode_pixels(images, CHOSEN, SMALL)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux, which lists what a process has mapped")
@pytest.mark.usefixtures("no_room_in_memory")
def test_pixels_beyond_the_memory_are_mapped_from_their_entry(images: Images) -> None:
    first = decode_pixels(images, CHOSEN, SMALL)
    assert str(entries()[0]) in Path("/proc/self/maps").read_text()
    del first
    assert str(entries()[0]) not in Path("/proc/self/maps").read_text()
    assert reads(images) == 0
    second = decode_pixels(images, CHOSEN, SMALL)
    assert str(entries()[0]) in Path("/proc/self/maps").read_text()
    assert len(entries()) == 1 and len(second) == 4


@pytest.mark.usefixtures("no_room_in_memory")
def test_where_a_file_cannot_be_reserved_it_is_made_as_long(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    assert [reads(images), reads(images)] == [4, 0]


def test_an_entry_is_read_whatever_memory_there_is(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reads(images) == 4
    monkeypatch.setattr(pixels_file, "memory_bytes", lambda: 4)
    assert reads(images) == 0


@pytest.mark.usefixtures("no_room_in_memory")
def test_a_cache_that_is_only_read_serves_what_it_has(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reads(images) == 4
    real = np.memmap

    def read_only(file: Path, dtype: type, mode: str) -> np.ndarray:
        if mode != "c":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(file, dtype, mode)

    monkeypatch.setattr(np, "memmap", read_only)
    counted = Counted(images)
    decode_pixels(replace(images, reader=counted), CHOSEN, SMALL)
    assert counted.count == 0


@pytest.mark.parametrize("mapped", [False, True])
def test_what_is_interrupted_leaves_nothing(images: Images, mapped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if mapped:
        monkeypatch.setattr(pixels_file, "memory_bytes", lambda: 4)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_pixels(images, CHOSEN, SMALL, progress=interrupt)
    assert entries() == []


def test_what_exceeds_the_cap_is_not_kept(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded_file, "CAP_BYTES", 4 * 3 * 16 * 16 - 1)
    assert reads(images) == reads(images) == 4
    assert entries() == []


@pytest.fixture
def long_ago(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Entries are as old as other processes left them, and may go."""
    monkeypatch.setattr(cache_file, "SAFE_AGE_S", -1.0)
    yield
    cache_file._in_use.clear()


@pytest.mark.usefixtures("long_ago")
def test_entries_are_counted_in_the_cap_and_the_longest_unused_goes(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (replace(SMALL, size=(16, 16 + number)) for number in range(3))
    for age, preprocess in ((9, first), (5, second)):
        reads(images, preprocess=preprocess)
        newest = max(entries(), key=lambda entry: entry.stat().st_mtime)
        os.utime(newest, (time.time() - 3600 * age,) * 2)
    cache_file._in_use.clear()
    assert reads(images, preprocess=first) == 0  # used again, so it is no longer the oldest
    cache_file._in_use.clear()
    monkeypatch.setattr(cache_file, "CAP_BYTES", 2 * 4 * 3 * 16 * 18 + 100)
    assert reads(images, preprocess=third) == 4
    assert reads(images, preprocess=first) == 0
    assert reads(images, preprocess=second) == 4


def test_pixels_for_crops_have_their_channels_side_by_side(images: Images) -> None:
    pixels = decode_pixels(images, CHOSEN, SMALL, for_crops=True)
    assert pixels.shape == (4, 3, 16, 16) and pixels.is_contiguous(memory_format=torch.channels_last)


def test_arrays_for_crops_are_the_arrays() -> None:
    digits = open_images("digits")
    preprocess = Preprocess((8, 8), "crop", 1, (0.5,), (0.5,))
    plain = decode_pixels(digits, range(9), preprocess)
    assert torch.equal(plain, decode_pixels(digits, range(9), preprocess, for_crops=True))
