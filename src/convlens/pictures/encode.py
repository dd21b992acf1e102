"""Pictures as bytes, for files and pages; writing them safely is the storage room's work."""

from __future__ import annotations

import io

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
