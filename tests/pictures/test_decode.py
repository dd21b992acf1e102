"""Every mode, orientation and depth that the tests can make comes out upright, 8 bits, grey or RGB."""

from __future__ import annotations

import io
import os
import struct
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from convlens.errors import PictureError
from convlens.pictures import claimed_size, decode, decode_and_inspect, inspect


def photograph(width: int = 61, height: int = 40) -> Image.Image:
    """A smooth picture of all colours, with a mark that is in no symmetric place."""
    rows, columns = np.mgrid[:height, :width]
    image = Image.fromarray(
        np.stack([columns * 255 // width, rows * 255 // height, (rows + columns) % 256], -1).astype(np.uint8)
    )
    ImageDraw.Draw(image).rectangle((3, 4, 12, 9), fill=(250, 240, 20))
    return image


def written(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def ramp16(top: int = 65535) -> np.ndarray:
    return np.linspace(0, top, 32 * 20).round().astype(np.uint16).reshape(20, 32)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(file_format: str, orientation: int) -> None:
    upright = photograph()
    turn_back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turn_back[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98}}.get(file_format, {})
    data = written(stored, file_format, exif=exif, **lossless)
    pixels, facts = decode_and_inspect(data)
    assert np.abs(pixels.astype(int) - np.asarray(upright)).mean() < (2 if file_format == "JPEG" else 1e-9)
    assert (facts.orientation, facts.width, facts.height) == (orientation, 61, 40)
    assert inspect(data) == facts


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_out_of_range_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels, facts = decode_and_inspect(written(photograph(), "PNG", exif=exif))
    assert pixels.shape == (40, 61, 3)
    assert facts.orientation == 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_every_mode_of_tiff_is_read(mode: str) -> None:
    stored = photograph().convert("L" if mode in ("1", "LA") else "RGB")
    stored = stored.convert("P").convert("PA") if mode == "PA" else stored
    if mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        stored = ImageCms.profileToProfile(stored, *profiles, outputMode="LAB")
    stored = stored if stored.mode == mode else stored.convert(mode)
    pixels, facts = decode_and_inspect(written(stored, "TIFF"))
    assert facts.mode == mode
    grey = mode in ("1", "L", "LA")
    assert pixels.shape == ((40, 61) if grey else (40, 61, 3))
    assert pixels.dtype == np.uint8
    original = np.asarray(photograph().convert("L" if grey else "RGB")).astype(int)
    assert np.corrcoef(original.ravel(), pixels.ravel())[0, 1] > (0.3 if mode == "1" else 0.95)  # dots


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    pixels, facts = decode_and_inspect(written(photograph().convert("CMYK"), "JPEG", quality=95))
    assert facts.mode == "CMYK"
    assert np.abs(pixels.astype(int) - np.asarray(photograph())).mean() < 12


def test_a_palette_with_a_transparent_index_is_laid_on_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (0, 0, 4, 8))
    for file_format in ("PNG", "GIF"):
        pixels, facts = decode_and_inspect(written(image, file_format, transparency=1))
        assert facts.has_alpha
        assert (pixels[0, 0] == 255).all()
        assert (pixels[0, 7] == (255, 0, 0)).all()


def test_half_transparent_colours_are_mixed_with_white() -> None:
    for mode, colour, expected in [("RGBA", (200, 0, 0, 128), (227, 127, 127)), ("LA", (0, 128), 127)]:
        pixels = decode(written(Image.new(mode, (3, 3), colour), "PNG"))
        assert (np.abs(pixels[1, 1].astype(int) - expected) <= 1).all()


@pytest.mark.parametrize(("mode", "value", "other"), [("L", 90, 10), ("RGB", (9, 8, 7), (1, 2, 3)), ("1", 1, 0)])
def test_the_transparent_colour_of_a_png_is_laid_on_white(mode: str, value: int, other: int) -> None:
    image = Image.new(mode, (4, 4), other)
    image.paste(value, (0, 0, 2, 4))
    pixels = decode(written(image, "PNG", transparency=value))
    assert (pixels[0, 0] == 255).all()
    assert (pixels[0, 3] == other).all()


@pytest.mark.parametrize(("bits", "dark", "row"), [(1, 0, 0b01010101), (2, 1, 0b01101101), (4, 5, 0b01011001)])
def test_the_transparent_grey_of_a_png_counts_in_its_own_bits(bits: int, dark: int, row: int) -> None:
    """Values of 1, 2 and 4 bits are stretched to 8, and the transparent one with them."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 8 // bits, 1, bits, 0, 0, 0, 0)),
        (b"tRNS", struct.pack(">H", dark)),
        (b"IDAT", zlib.compress(bytes([0, row]))),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    values = [(row >> shift) & (2**bits - 1) for shift in range(8 - bits, -1, -bits)]
    white = 2**bits - 1
    assert decode(data)[0].tolist() == [255 if value == dark else value * 255 // white for value in values]


def test_16_bit_pngs_are_divided_by_257() -> None:
    values = ramp16()
    pixels, facts = decode_and_inspect(written(Image.fromarray(values), "PNG"))
    assert facts.bits == 16
    assert np.array_equal(pixels, np.rint(values / 257))
    assert pixels.max() == 255


def test_16_bit_tiffs_of_both_byte_orders_are_divided_by_257() -> None:
    values = ramp16()
    for data in (written(Image.fromarray(values), "TIFF"), _big_endian_tiff(values)):
        pixels, facts = decode_and_inspect(data)
        assert facts.bits == 16
        assert np.array_equal(pixels, np.rint(values / 257))


def test_12_bits_in_16_stay_linear_and_dark() -> None:
    assert decode(written(Image.fromarray(ramp16(4095)), "PNG")).max() == 16


def test_negatives_of_16_bits_are_turned_over() -> None:
    values = ramp16()
    data = written(Image.fromarray(values), "TIFF")
    black_is_zero, white_is_zero = (struct.pack("<HHII", 262, 3, 1, meaning) for meaning in (1, 0))
    assert data.count(black_is_zero) == 1
    assert np.array_equal(decode(data.replace(black_is_zero, white_is_zero)), 255 - np.rint(values / 257))


@pytest.mark.parametrize("white", [255, 1000, 4095, 65535])
def test_a_pgm_is_scaled_by_its_own_white(white: int) -> None:
    values = np.linspace(0, white, 12 * 10).round().astype(">u2").reshape(10, 12)
    body = values.astype(np.uint8).tobytes() if white < 256 else values.tobytes()
    pixels, facts = decode_and_inspect(b"P5 12 10 %d\n" % white + body)
    assert np.abs(pixels.astype(float) - values.astype(float) * 255 / white).max() <= 0.51
    assert facts.bits == white.bit_length()


@pytest.mark.parametrize("white", [255, 65535, 2**31 - 1])
def test_32_bit_integers_keep_a_straight_line(white: int) -> None:
    values = np.linspace(0, white, 640).round().astype(np.int32).reshape(20, 32)
    pixels = decode(written(Image.fromarray(values), "TIFF"))
    assert np.abs(pixels.astype(float) - values.astype(float) * 255 / white).max() <= 0.51


@pytest.mark.parametrize("white", [1.0, 255.0])
def test_floats_of_0_to_1_and_0_to_255_are_read(white: float) -> None:
    values = np.linspace(0, white, 640, dtype=np.float32).reshape(20, 32)
    pixels = decode(written(Image.fromarray(values), "TIFF"))
    assert np.abs(pixels.astype(float) - values * 255 / white).max() <= 0.51


@pytest.mark.parametrize("values", [[[-1.0, 0.5]], [[0.0, 300.0]], [[0.0, float("nan")]], [[0.0, float("inf")]]])
def test_floats_without_an_agreed_white_are_refused(values: list[list[float]]) -> None:
    with pytest.raises(PictureError, match=r"floats from .* only 0\.\.1 and 0\.\.255"):
        decode(written(Image.fromarray(np.array(values, np.float32)), "TIFF"))


def test_integers_below_zero_are_refused() -> None:
    with pytest.raises(PictureError, match="integers below 0"):
        decode(written(Image.fromarray(np.array([[-5, 70000]], np.int32)), "TIFF"))


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation_is_read(file_format: str) -> None:
    first, second = Image.new("RGB", (16, 12), "red"), Image.new("RGB", (16, 12), "blue")
    options = {"WEBP": {"lossless": True}}.get(file_format, {})
    pixels, facts = decode_and_inspect(written(first, file_format, save_all=True, append_images=[second], **options))
    assert facts.num_frames == 2
    assert (pixels == (255, 0, 0)).all()


def test_colour_files_of_grey_pictures_come_out_grey() -> None:
    grey = photograph().convert("L")
    assert np.array_equal(decode(written(grey.convert("RGB"), "PNG")), np.asarray(grey))


def test_one_pixel_is_a_picture() -> None:
    assert decode(written(Image.new("RGB", (1, 1), "red"), "PNG")).tolist() == [[[255, 0, 0]]]
    assert decode(written(Image.new("L", (1, 1), 7), "PNG")).tolist() == [[7]]


def test_paths_bytes_and_open_files_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photograph().save(path)
    with path.open("rb") as file:
        from_file = decode(file)
    for pixels in (decode(path), decode(str(path)), decode(path.read_bytes()), from_file):
        assert np.array_equal(pixels, np.asarray(photograph()))
    assert pixels.flags.writeable and pixels.flags.c_contiguous


def test_drafts_keep_the_short_side_and_the_facts_keep_the_full_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = written(photograph(1601, 1200), "JPEG", exif=exif)
    full, facts = decode_and_inspect(data)
    small, facts_of_small = decode_and_inspect(data, short_side=500)
    assert full.shape == (1601, 1200, 3)
    assert small.shape == (801, 600, 3)
    assert facts == facts_of_small
    assert decode(data, short_side=1200).shape == full.shape
    assert decode(written(photograph(700, 700), "PNG"), short_side=64).shape == (700, 700, 3)


def test_the_suffix_is_compared_with_the_content(tmp_path: Path) -> None:
    for name, wrong in [("a.png", False), ("a.jpg", True), ("a.dat", False), ("a", False), ("A.PNG", False)]:
        (tmp_path / name).write_bytes(written(photograph(), "PNG"))
        assert inspect(tmp_path / name).wrong_suffix is wrong


def _big_endian_tiff(values: np.ndarray) -> bytes:
    image = Image.frombytes("I;16B", values.shape[::-1], values.astype(">u2").tobytes())
    return written(image, "TIFF")


def test_a_file_is_read_at_once_or_bit_by_bit_to_the_same_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["convlens.pictures.decode"]
    for file_format in ("JPEG", "PNG", "BMP", "PPM", "TIFF"):
        file = tmp_path / f"picture.{file_format}"
        file.write_bytes(written(photograph(), file_format))
        monkeypatch.setattr(module, "READ_AT_ONCE", file.stat().st_size)
        at_once = decode_and_inspect(file)
        assert isinstance(module._open_file(file), io.BytesIO)
        monkeypatch.setattr(module, "READ_AT_ONCE", file.stat().st_size - 1)
        bit_by_bit = decode_and_inspect(file)
        assert np.array_equal(at_once[0], bit_by_bit[0]) and at_once[1] == bit_by_bit[1]
        with module._open_file(file) as opened:
            assert isinstance(opened, io.BufferedReader)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_refused_and_its_writer_goes_on_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.open("wb").close(), daemon=True)
    writer.start()
    time.sleep(0.2)
    with pytest.raises(PictureError, match="not a file"):
        decode_and_inspect(pipe)
    time.sleep(0.1)
    assert writer.is_alive()
    pipe.open("rb").close()
    writer.join(timeout=10)
    assert not writer.is_alive()


def test_the_claimed_size_is_that_of_the_header_before_the_picture_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = written(photograph(400, 200), "JPEG", exif=exif)
    assert claimed_size(data) == (400, 200)
    assert decode(data).shape == (400, 200, 3)
    assert claimed_size(data[: len(data) - 1000]) == (400, 200), "nothing is decoded"
