"""Pictures as bytes, for files and pages; writing them safely is the storage room's work."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image


def thumbnail(picture: np.ndarray, side: int = 96) -> bytes:
    """uint8 (H, W) or (H, W, 3) -> JPEG whose longer side is `side`; small pictures stay as small as they are."""
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.BILINEAR)  # keeps the shape, never enlarges
    written = io.BytesIO()
    image.save(written, "JPEG", quality=85)
    return written.getvalue()


def png_bytes(image: Image.Image | np.ndarray) -> bytes:
    """An image, or uint8 (H, W) or (H, W, 3) -> PNG, lossless."""
    written = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(written, "PNG")
    return written.getvalue()


def gif_bytes(frames: Sequence[Image.Image], *, seconds: float = 0.7) -> bytes:
    """Pictures in turn, over and over -> GIF; all are drawn as large as the largest, from the upper left on."""
    width, height = (max(frame.size[axis] for frame in frames) for axis in (0, 1))
    pages = []
    for frame in frames:
        page = Image.new("RGB", (width, height), "white")
        page.paste(frame, (0, 0))
        pages.append(page.quantize(256, method=Image.Quantize.MEDIANCUT))
    written = io.BytesIO()
    first, *rest = pages
    first.save(written, "GIF", save_all=True, append_images=rest, duration=round(1000 * seconds), loop=0, disposal=2)
    return written.getvalue()
