"""Maps as pictures: a heat as colours, and colours over the picture they speak about."""

from __future__ import annotations

import numpy as np

from convlens.errors import UsageError, unknown_name


def colour(heat: np.ndarray, name: str = "viridis") -> np.ndarray:
    """(H, W) in 0..1 -> uint8 (H, W, 3) by a colour map of matplotlib; values outside are clipped, NaN counts as 0."""
    from matplotlib import colormaps

    if name not in colormaps:
        raise unknown_name("colour map", name, list(colormaps), "matplotlib's documentation shows all of them")
    return np.ascontiguousarray(colormaps[name](_clean(heat), bytes=True)[..., :3])


def overlay(
    picture: np.ndarray, heat: np.ndarray, *, opacity: float = 0.75, name: str | None = None, signed: bool = False
) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3) under a heat (H, W) in 0..1 -> uint8 (H, W, 3).

    The picture is drawn in grey, so that every colour seen is the map's own. The map covers with `opacity` where it is
    1, with its square root times that where it is less, and lets the picture through where it is 0. A `signed` heat is
    in -1..1, has two colours, warm above 0 and cool below, and covers with its magnitude times `opacity`. `name` is a
    colour map of matplotlib, by default inferno, or coolwarm where it is signed.
    """
    if heat.shape != picture.shape[:2]:
        raise UsageError(f"a map of shape {heat.shape} came for a picture of {picture.shape[:2]}; place it first")
    if not 0 <= opacity <= 1:
        raise UsageError(f"opacity is {opacity}; expected a number from 0 (picture alone) to 1 (map alone)")
    grey = picture.astype(np.float32)
    if grey.ndim == 3:
        grey = grey @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601 luma
    colours, strength = _colours_and_strength(heat, name, signed)
    cover = opacity * strength[..., None]
    return np.rint((1 - cover) * grey[..., None] + cover * colours).clip(0, 255).astype(np.uint8)


def heat_layer(heat: np.ndarray, *, name: str | None = None, signed: bool = False) -> np.ndarray:
    """The same map without a picture: (H, W) -> uint8 (H, W, 4), to be laid over one with any opacity."""
    colours, strength = _colours_and_strength(heat, name, signed)
    return np.dstack([colours, np.rint(255 * strength).astype(np.uint8)])


def _colours_and_strength(heat: np.ndarray, name: str | None, signed: bool) -> tuple[np.ndarray, np.ndarray]:
    strength = _clean(np.abs(heat)) if signed else np.sqrt(_clean(heat))
    return (colour((heat + 1) / 2, name or "coolwarm") if signed else colour(heat, name or "inferno")), strength


def enlarged(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture smaller than `side`, (H, W) or (H, W, 3), by whole pixels up to it: a map over it is not as coarse."""
    times = max(1, side // max(picture.shape[:2]))
    return picture.repeat(times, 0).repeat(times, 1)


def _clean(heat: np.ndarray) -> np.ndarray:
    return np.clip(np.nan_to_num(np.asarray(heat, np.float32)), 0, 1)
