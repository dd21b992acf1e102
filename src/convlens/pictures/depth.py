"""Deep greys to 8 bits: always a straight line from black to white, never clipped.

The range comes from the kind of file, so that two pictures of one camera stay comparable. 32-bit integers and floats
have no agreed white: there the brightest value of the picture chooses among two to four.

    I;16 and 16-bit PNG, PGM, JPEG 2000    0..65535 (divided by 257; 12-bit values in 16-bit files keep that range)
    TIFF of 12 bits, of signed 16 bits     0..4095, 0..32767
    32-bit integers                        0..255 or 0..65535 where all values fit, as Pillow writes them; else 32 bits
    floats                                 0..1 or 0..255 where all values fit

Negative integers, and floats outside 0..255 or not finite, have no agreed white: they raise ValueError.
"""

from __future__ import annotations

import numpy as np

_SIGNED = 2  # the TIFF tag SampleFormat


def to_8_bits(values: np.ndarray, file_format: str, bits: int, sample_format: int = 1) -> np.ndarray:
    """(H, W) integers or floats -> (H, W) uint8."""
    if values.dtype.kind == "f":
        return _floats(values)
    if values.dtype.itemsize == 4 and bits > 16 and sample_format != _SIGNED and file_format == "TIFF":
        values = values.view(np.uint32)
    if values.size and values.min() < 0:
        raise ValueError(f"integers below 0 ({values.min()}), which have no agreed black; save it as unsigned")
    return _scaled(values, _white(values, file_format, bits, sample_format))


def _white(values: np.ndarray, file_format: str, bits: int, sample_format: int) -> int:
    if file_format == "TIFF" and bits <= 16:
        return 2 ** (bits - (sample_format == _SIGNED)) - 1
    if values.dtype.itemsize == 2 or file_format in ("PNG", "PPM"):
        return 65535
    brightest = int(values.max(initial=0))
    return next(white for white in (255, 65535, 2**31 - 1, 2**32 - 1) if brightest <= white)


def _scaled(values: np.ndarray, white: int) -> np.ndarray:
    wide = values.astype(np.uint32 if white <= 65535 else np.uint64)
    return ((wide * 255 + white // 2) // white).clip(max=255).astype(np.uint8)


def _floats(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if not (low >= 0 and high <= 255):  # false for NaN too
        raise ValueError(f"floats from {low:g} to {high:g}; only 0..1 and 0..255 have an agreed white")
    return np.rint(values * (255 if high <= 1 else 1)).astype(np.uint8)
