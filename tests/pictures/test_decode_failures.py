"""Whatever is wrong with a file, a PictureError says so in one short line, and nothing leaks."""

from __future__ import annotations

import csv
import io
import random
import struct
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.errors import PictureError
from convlens.pictures import MAX_PIXELS, decode, decode_and_inspect, failure_kind, inspect


def noise(width: int = 64, height: int = 48) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8))


def written(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def kind_of(source: Path | bytes) -> str:
    with pytest.raises(PictureError) as caught:
        decode(source)
    assert "\n" not in str(caught.value)
    assert len(caught.value.reason) < 200
    return failure_kind(caught.value.reason)


def test_empty_files_are_zero_byte(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert kind_of(tmp_path / "a.jpg") == "zero_byte"
    assert kind_of(b"") == "zero_byte"


def test_what_is_no_file_is_unreadable(tmp_path: Path) -> None:
    assert kind_of(tmp_path) == "unreadable"
    with pytest.raises(PictureError, match=r"none\.jpg: unreadable: no such file"):
        decode(tmp_path / "none.jpg")
    with pytest.raises(PictureError, match="unreadable"):
        decode("a\0b.jpg")


def test_text_with_a_picture_name_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("These are my notes about the pictures.")
    with pytest.raises(PictureError, match="this is text, not a picture"):
        decode(tmp_path / "notes.jpg")


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_a_file_cut_anywhere_fails_or_loses_nothing(file_format: str) -> None:
    data = written(noise(), file_format)
    whole = decode(data)
    for part in range(1, 40):
        cut = data[: len(data) * part // 40]
        try:
            assert np.array_equal(decode(cut), whole)
        except PictureError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_cut_anywhere_is_truncated(progressive: bool) -> None:
    data = written(noise(), "JPEG", progressive=progressive)
    for length in range(len(data) // 20, len(data) - 2, len(data) // 20):
        assert kind_of(data[:length]) == "truncated"


def test_a_png_cut_behind_its_pixels_is_whole() -> None:
    data = written(noise(), "PNG")
    assert np.array_equal(decode(data[:-6]), np.asarray(noise()))
    assert kind_of(data[: len(data) // 2]) == "truncated"


def test_a_png_damaged_in_its_pixels_and_behind_them_is_refused() -> None:
    data = bytearray(written(noise(), "PNG") + b"\0\0\xff\xfftEXtshort")
    data[-40 - 16] ^= 255  # inside the compressed pixels
    kind_of(bytes(data))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7, 0.9, 0.99])
def test_a_png_of_the_full_length_that_was_written_in_part_is_refused(share: float) -> None:
    data = written(noise().resize((64, 48), box=(0, 0, 9, 9)), "PNG")  # smooth: zeros then decode as something
    end = int(share * len(data))
    with pytest.raises(PictureError, match="damaged, or not written to its end; copy it again"):
        decode(data[:end] + bytes(len(data) - end))


@pytest.mark.parametrize("file_format", ["ICO", "ICNS"])
def test_an_icon_whose_png_was_written_in_part_is_refused(file_format: str) -> None:
    icon = noise().resize((128, 128), box=(0, 0, 9, 9))
    data = written(icon, file_format, **({"sizes": [(128, 128)]} if file_format == "ICO" else {}))
    assert decode(data).shape[2] == 3
    start, end = data.rindex(b"IDAT"), data.rindex(b"IEND")
    half = (start + end) // 2
    with pytest.raises(PictureError, match="damaged, or not written to its end; copy it again"):
        decode(data[:half] + bytes(end - half - 8) + data[end - 8 :])


def test_a_png_whose_pixels_are_whole_is_read_with_whatever_stands_behind_them() -> None:
    data = written(noise(), "PNG")
    pixels_end = data.index(b"IEND") - 4
    for behind in (data[pixels_end:] + bytes(999), data[pixels_end:] + b"rubbish", b"", bytes(99)):
        assert np.array_equal(decode(data[:pixels_end] + behind), np.asarray(noise()))
    wrong_crc = data[: pixels_end - 4] + bytes(4) + data[pixels_end:]  # zlib's own checksum holds
    assert np.array_equal(decode(wrong_crc), np.asarray(noise()))


def test_bombs_are_refused_by_their_header() -> None:
    header = written(Image.new("1", (8, 8)), "PPM").split(b"\n")[0]
    just_too_large = MAX_PIXELS // 10_000 + 1
    assert kind_of(header + b"\n%d 10000\n" % just_too_large) == "bomb"
    assert kind_of(header + b"\n900000 900000\n") == "bomb"
    with pytest.raises(PictureError, match="decompression bomb"):
        inspect(header + b"\n900000 900000\n")


def test_formats_that_run_programs_are_not_opened() -> None:
    assert kind_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n") == "unreadable"


def test_the_commonest_formats_are_tried_first_and_no_other_is_lost() -> None:
    formats = sys.modules["convlens.pictures.decode"]._formats()
    assert formats[:2] == ("JPEG", "PNG")
    assert sorted(formats) == sorted(set(Image.ID) - {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})


def test_random_damage_never_raises_anything_else() -> None:
    draw = random.Random(0)
    for file_format in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "TGA", "ICO", "PCX", "SGI", "JPEG2000", "DDS"):
        data = bytearray(written(noise(), file_format))
        for _ in range(25):
            damaged = bytearray(data)
            for _ in range(draw.randint(1, 12)):
                damaged[draw.randrange(min(len(data), draw.choice((64, len(data)))))] = draw.randrange(256)
            try:
                assert decode(bytes(damaged)).dtype == np.uint8
            except PictureError as error:
                assert "\n" not in str(error)


def test_warnings_of_pillow_stay_inside_even_in_threads() -> None:
    """Warnings are errors here, so one that gets out would make a good picture unreadable."""
    data = written(noise(), "PNG")
    no_frames = struct.pack(">I4sII", 8, b"acTL", 0, 0)
    animated = data[:33] + no_frames + struct.pack(">I", zlib.crc32(no_frames[4:])) + data[33:]
    with pytest.warns(UserWarning, match="Invalid APNG"):
        Image.open(io.BytesIO(animated)).load()
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(decode, [animated] * 200))
    assert all(np.array_equal(picture, np.asarray(noise())) for picture in pictures)
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="Invalid APNG"):
        Image.open(io.BytesIO(animated)).load()


def test_the_damaged_files_of_others_are_read_or_refused_as_listed(
    shared_data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = shared_data / "bad-inputs"
    with (folder / "MANIFEST.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 167
    for row in rows:
        try:
            pixels, facts = decode_and_inspect(folder / row["path"])
        except PictureError as error:
            assert row["result"].startswith("FAIL"), (row["path"], error.reason)
            assert "\n" not in error.reason
            assert (failure_kind(error.reason) == "bomb") is ("Bomb" in row["result"] or "l2rgb" in row["path"])
            continue
        assert row["result"] == "ok", row["path"]
        assert facts.format == row["format"] and facts.mode == row["mode"], row["path"]
        assert pixels.dtype == np.uint8 and pixels.shape[:2] == (facts.height, facts.width), row["path"]
        assert facts == inspect(folder / row["path"])
        if row["exif_orientation"].isdigit() and row["exif_orientation"] != "0":
            assert facts.orientation == int(row["exif_orientation"])
        if row["frames"].isdigit():
            assert facts.num_frames == int(row["frames"])
    assert capfd.readouterr().err == ""  # libtiff prints from C, where Python cannot catch it


def test_turned_copies_of_one_photograph_look_alike(shared_data: Path) -> None:
    folder = shared_data / "bad-inputs" / "exif-orientation"
    for shape in ("Landscape", "Portrait"):
        first, *others = (decode(path, short_side=64).astype(int) for path in sorted(folder.glob(f"{shape}_*.jpg")))
        assert all(np.abs(first - other).mean() < 12 for other in others)
