"""Any mode of Pillow to 8-bit grey or RGB, transparent places white."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from convlens.pictures.depth import to_8_bits

TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_SAMPLE_FORMAT = 258, 262, 339


def to_pixels(image: Image.Image, file_format: str, bits: int) -> np.ndarray:
    """A loaded image -> uint8 (H, W) where it is grey, else (H, W, 3); ValueError where values have no agreed range."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        pixels = to_8_bits(values, file_format, bits, _tag(image, TIFF_SAMPLE_FORMAT, 1))
        if image.mode.startswith("I;16") and _tag(image, TIFF_PHOTOMETRIC, 1) == 0:
            pixels = 255 - pixels  # a negative: Pillow turns those of 8 bits, and leaves those of 16
    else:
        values = pixels = np.array(_composited(image))
    transparent = _transparent_value(image, file_format, bits)
    if transparent is not None:
        hidden = values == transparent
        pixels[hidden if values.ndim == 2 else hidden.all(axis=2)] = 255
    return pixels[..., 0].copy() if is_grey(pixels) and pixels.ndim == 3 else pixels


def is_grey(pixels: np.ndarray) -> bool:
    """True for (H, W), and for (H, W, 3) whose three channels are equal everywhere."""
    if pixels.ndim == 2:
        return True
    # One row tells nearly every photograph, at no cost.
    return _channels_equal(pixels[len(pixels) // 2]) and _channels_equal(pixels)


def _channels_equal(pixels: np.ndarray) -> bool:
    first, second, third = (pixels[..., channel] for channel in range(3))
    return np.array_equal(first, second) and np.array_equal(second, third)


def _composited(image: Image.Image) -> Image.Image:
    """Any mode of 8 bits -> "L" or "RGB", on white."""
    if _is_translucent(image):
        image = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
        colour = image.convert("L" if image.mode == "LA" else "RGB")
        canvas = Image.new(colour.mode, colour.size, "white")
        canvas.paste(colour, mask=image.getchannel("A"))
        return canvas
    if image.mode in ("L", "RGB"):
        return image  # a conversion to itself would copy every pixel
    return image.convert("L" if image.mode == "1" else "RGB")


def _is_translucent(image: Image.Image) -> bool:
    if image.mode == "P":
        return "transparency" in image.info or (image.palette is not None and image.palette.mode.endswith("A"))
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa")


def _transparent_value(image: Image.Image, file_format: str, bits: int) -> int | tuple[int, ...] | None:
    """The one grey or colour that means "nothing here" (PNG's tRNS), on the scale of the pixels; None without one."""
    value: Any = image.info.get("transparency")
    if image.mode not in ("1", "L", "I;16", "RGB") or not isinstance(value, int | tuple):
        return None
    if file_format != "PNG" or image.mode == "I;16":
        return value
    if isinstance(value, tuple):
        return tuple(part >> 8 if bits == 16 else part & 255 for part in value)  # Pillow keeps the high byte of 16 bits
    return value * 255 // (2**bits - 1)  # Pillow stretches 1, 2 and 4 bits to 8


def _tag(image: Image.Image, tag: int, default: int) -> int:
    """A number from a TIFF's tags."""
    found = getattr(image, "tag_v2", {}).get(tag, default)
    return int(found[0] if isinstance(found, tuple) else found)
