"""From decoded pictures to the tensor a network takes, and back: one frozen value, stored in the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from convlens.errors import UsageError, unknown_name
from convlens.pictures.geometry import Box, Geometry, crop_geometry, letterbox_geometry, resize_geometry

FITS = ("crop", "letterbox", "resize")


@dataclass(frozen=True)
class Preprocess:
    """How every picture meets the network, at training and for ever after.

    `size` is (height, width). `fit` says what happens to other shapes: "crop" resizes until the picture covers
    size / crop_ratio and keeps the centre, "letterbox" keeps all of it on a ground of the mean colour, "resize"
    squeezes. `crop_ratio` counts for "crop" only; 0.875 is ImageNet's custom. `mean` and `std` are for pixels in 0..1,
    one per channel.
    """

    size: tuple[int, int]
    fit: str = "crop"
    channels: int = 3
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    crop_ratio: float = 1.0

    def __post_init__(self) -> None:
        for name in ("size", "mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check(self)

    def __call__(self, pictures: Iterable[np.ndarray]) -> torch.Tensor:
        """Decoded pictures of any size -> float32 (N, C, H, W)."""
        if isinstance(pictures, np.ndarray):
            raise UsageError(
                f"one array of shape {pictures.shape} came where a list of pictures was expected; put it in a list"
            )
        batch = [self.pixels(picture) for picture in pictures]
        stacked = np.stack(batch) if batch else np.zeros((0, self.channels, *self.size), np.uint8)
        return self.normalise(torch.from_numpy(stacked))

    def pixels(self, picture: np.ndarray) -> np.ndarray:
        """The geometry alone: uint8 (H, W) or (H, W, 3) of any size -> uint8 (C, height, width)."""
        return np.ascontiguousarray(self._framed(picture).transpose(2, 0, 1))

    def pixels_for_crops(self, picture: np.ndarray) -> np.ndarray:
        """Nearly the same with channels side by side, uint8 (height, width, C), for what will be cropped and resized.

        In whole pixels of the picture, and by torch, whose vector instructions take a third of Pillow's time.
        """
        if self.channels == 1 or picture.ndim == 2:
            return self._framed(picture)
        geometry = self.geometry(*picture.shape[:2])
        top, left, bottom, right = (round(edge) for edge in geometry.box)
        seen = picture[top:bottom, left:right]
        if seen.shape[:2] != geometry.target_size:
            # [None] before the permutation: else torch takes the one picture for planes, and makes planes of it
            planes = torch.from_numpy(np.ascontiguousarray(seen))[None].permute(0, 3, 1, 2)
            planes = F.interpolate(planes, geometry.target_size, mode="bilinear", antialias=True)
            seen = planes[0].permute(1, 2, 0).numpy()
        return self._on_ground(seen, geometry)

    def _framed(self, picture: np.ndarray) -> np.ndarray:
        """uint8 (height, width, C)."""
        image = Image.fromarray(_checked(picture))
        if self.channels == 1:
            image = image.convert("L")  # ITU-R 601 luma
        geometry = self.geometry(*picture.shape[:2])
        seen = np.asarray(_resized(image, geometry))
        if self.channels == 3 and seen.ndim == 2:
            seen = np.repeat(seen[:, :, None], 3, axis=2)
        return self._on_ground(np.atleast_3d(seen), geometry)

    @property
    def decode_side(self) -> int:
        """The short side down to which a large JPEG may be decoded: twice what is needed, so that resizing averages."""
        return round(2 * max(self.size) / self.crop_ratio)

    def normalise(self, pixels: torch.Tensor, *, in_place: bool = False) -> torch.Tensor:
        """(N, C, H, W) in 0..255, uint8 or float -> float32, (x / 255 - mean) / std; `in_place` is for float32."""
        values = pixels if in_place else pixels.to(torch.float32, copy=True)
        if values.is_contiguous() or not values.is_contiguous(memory_format=torch.channels_last):
            scale, offset = _factors(self.mean, self.std, pixels.device)
            return values.mul_(scale).sub_(offset)
        rows = values.permute(0, 2, 3, 1).flatten(2)  # three numbers at a time would be slow
        scale, offset = _row_factors(self.mean, self.std, values.shape[3], pixels.device)
        rows.mul_(scale).sub_(offset)
        return values

    def inverse(self, images: torch.Tensor) -> torch.Tensor:
        """What the network saw, as pixels: float (N, C, H, W) -> uint8."""
        mean, std = _planes(self.mean, images.device), _planes(self.std, images.device)
        return images.to(torch.float32).mul(std).add_(mean).mul_(255).round_().clamp_(0, 255).to(torch.uint8)

    def place(self, heat: np.ndarray, picture: tuple[int, int]) -> np.ndarray:
        """A map over the model input, (height, width) -> float32 (H, W) over the picture; zeros where it was blind."""
        if np.shape(heat) != self.size:
            raise UsageError(f"a map of shape {np.shape(heat)} came; this network sees {self.size}")
        return self.geometry(*picture).place(np.asarray(heat))

    def window(self, height: int, width: int) -> Box:
        """(top, left, bottom, right): the part of a picture that the network sees, in the picture's pixels."""
        return self.geometry(height, width).box

    def geometry(self, height: int, width: int) -> Geometry:
        """How a picture of this size lands on the model input."""
        if self.fit == "crop":
            return crop_geometry((height, width), self.size, self.crop_ratio)
        return (letterbox_geometry if self.fit == "letterbox" else resize_geometry)((height, width), self.size)

    def to_dict(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Preprocess:
        known = [field.name for field in fields(cls)]
        for name in stored:
            if name not in known:
                raise unknown_name("preprocessing option", name, known, f"they are {', '.join(known)}")
        if "size" not in stored:
            raise UsageError("the preprocessing has no size; expected [height, width]")
        return cls(**stored)

    def _on_ground(self, seen: np.ndarray, geometry: Geometry) -> np.ndarray:
        if geometry.target_size == self.size:
            return seen
        ground = np.empty((*self.size, self.channels), np.uint8)
        ground[:] = np.rint(np.array(self.mean) * 255).clip(0, 255)
        top, left, bottom, right = geometry.target
        ground[top:bottom, left:right] = seen
        return ground


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept outlives the mode of who asks first
def _planes(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """(1, C, 1, 1); kept, as an accelerator would be waited for with each copy."""
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _factors(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """What pixels in 0..255 are multiplied by, and what is taken off then: (1, C, 1, 1) each."""
    means, deviations = _planes(mean, device), _planes(std, device)
    return 1 / (255 * deviations), means / deviations


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _row_factors(
    mean: tuple[float, ...], std: tuple[float, ...], width: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same for a row of pixels whose channels lie side by side: (width x C,) each."""
    scale, offset = _factors(mean, std, device)
    return scale.flatten().repeat(width), offset.flatten().repeat(width)


def _resized(image: Image.Image, geometry: Geometry) -> Image.Image:
    top, left, bottom, right = geometry.box
    height, width = geometry.target_size
    if (image.height, image.width) == (height, width) == (bottom - top, right - left):
        return image
    return image.resize((width, height), Image.Resampling.BILINEAR, box=(left, top, right, bottom))


def _checked(picture: np.ndarray) -> np.ndarray:
    shape, dtype = np.shape(picture), getattr(picture, "dtype", type(picture).__name__)
    if dtype != np.uint8 or len(shape) not in (2, 3) or shape[2:] not in ((), (3,)) or 0 in shape:
        raise UsageError(f"a picture of shape {shape} and type {dtype} came; expected uint8 (H, W) or (H, W, 3)")
    return picture


def _check(preprocess: Preprocess) -> None:
    size, channels = preprocess.size, preprocess.channels
    if len(size) != 2 or not all(isinstance(side, int) and side >= 1 for side in size):
        raise UsageError(f"size is {size}; expected two whole numbers above 0, (height, width)")
    if preprocess.fit not in FITS:
        raise unknown_name("fit", str(preprocess.fit), FITS, f"choose one of {', '.join(FITS)}")
    if channels not in (1, 3):
        raise UsageError(f"channels is {channels}; expected 1 (grey) or 3 (RGB)")
    if len(preprocess.mean) != channels or len(preprocess.std) != channels:
        raise UsageError(
            f"mean {preprocess.mean} and std {preprocess.std} must have one number for each of {channels} channels"
        )
    if not all(value > 0 for value in preprocess.std):
        raise UsageError(f"std is {preprocess.std}; every number must be above 0")
    if not 0 < preprocess.crop_ratio <= 1:
        raise UsageError(f"crop_ratio is {preprocess.crop_ratio}; expected a number above 0 and at most 1")
