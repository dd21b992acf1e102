"""Arrays as pictures inside an answer."""

from __future__ import annotations

from base64 import b64encode

import numpy as np

from convlens.pictures import png_bytes


def png_address(pixels: np.ndarray) -> str:
    """uint8 (H, W), (H, W, 3) or, with opacity, (H, W, 4) -> a `data:` address, lossless."""
    return f"data:image/png;base64,{b64encode(png_bytes(np.ascontiguousarray(pixels))).decode()}"


def upright(planes: np.ndarray) -> np.ndarray:
    """uint8 (C, H, W) as a network sees it -> (H, W) or (H, W, 3)."""
    return planes[0] if len(planes) == 1 else planes.transpose(1, 2, 0)
