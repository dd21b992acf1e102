"""What is asked to be drawn for the training pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from convlens.data.geometry import BORDERS
from convlens.errors import UsageError, unknown_name

WHOLE = ("shift", "cutout")
MOST = {"rotate": 180, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5}
UNBOUNDED = ("lighting", "mixup", "cutmix")
OF_COLOURS = ("saturation", "hue", "lighting")


@dataclass(frozen=True)
class Augment:
    """What is drawn for each training picture; 0, False and a zoom of 1 are off.

    flip: mirror left and right, half of the time. alternate: the half that is mirrored is drawn once, and the other
    half is mirrored every second epoch (Jordan 2024). shift: up to so many pixels each way. border: what lies beyond
    the picture when it is shifted or rotated, "edge" (repeated) or "reflect". zoom: the smallest share of the area that
    a random crop keeps (aspect 3/4 to 4/3, as Szegedy et al. 2014). rotate: up to so many degrees each way.
    brightness, contrast, saturation: largest relative change; hue: largest part of the circle of colours (Howard 2013).
    lighting: deviation of the factors of the principal colours (Krizhevsky et al. 2012).
    cutout: side in pixels of a square set to the mean (DeVries and Taylor 2017).
    mixup (Zhang et al. 2017), cutmix (Yun et al. 2019): alpha of the Beta distribution that two pictures' share is of.
    """

    flip: bool = False
    alternate: bool = False
    shift: int = 0
    border: str = "edge"
    zoom: float = 1.0
    rotate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    lighting: float = 0.0
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flip", "alternate"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} came as {getattr(self, name)}; expected true or false")
        for name in (*WHOLE, *MOST, *UNBOUNDED):
            _check_number(name, getattr(self, name))
        if not isinstance(self.zoom, int | float) or not 0 < self.zoom <= 1:
            raise UsageError(f"zoom came as {self.zoom}; expected a share of the area above 0 and up to 1")
        if self.border not in BORDERS:
            raise unknown_name("border", str(self.border), BORDERS, f"choose {' or '.join(BORDERS)}")
        if self.alternate and not self.flip:
            raise UsageError("alternate came as true without flip, of which it says when; give flip as true too")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def changed(self, options: Mapping[str, Any]) -> Augment:
        """The same but for these; an unknown name lists the nearest."""
        known = [field.name for field in fields(self)]
        for name in options:
            if name not in known:
                raise unknown_name("augmentation", name, known, f"they are {', '.join(known)}")
        return replace(self, **options)

    def check(self, channels: int, size: tuple[int, int]) -> None:
        """Raises UsageError for what pictures of these channels and (height, width) cannot have."""
        asked = [name for name in OF_COLOURS if getattr(self, name)]
        if asked and channels == 1:
            raise UsageError(f"{asked[0]} came as {getattr(self, asked[0])}, and these pictures are grey; leave it out")
        farthest = min(size) - (self.border == "reflect")
        if self.shift > farthest:
            raise UsageError(
                f"shift came as {self.shift} for pictures of {size[0]} x {size[1]} px; "
                f"expected up to {farthest} with the border {self.border}"
            )
        if self.cutout >= min(size):
            raise UsageError(
                f"cutout came as {self.cutout} for pictures of {size[0]} x {size[1]} px, and may leave nothing; "
                f"expected less than {min(size)}"
            )

    @property
    def only_crops(self) -> bool:
        """Parts of pictures, mirrored or not, and nothing else of a picture by itself."""
        return self.zoom < 1 and not (self.shift or self.rotate or self.changes_colours)

    @property
    def changes_colours(self) -> bool:
        return bool(self.brightness or self.contrast or self.takes_channels_apart)

    @property
    def takes_channels_apart(self) -> bool:
        """Then it is twice as fast where each channel lies by itself."""
        return bool(self.cutout) or any(getattr(self, name) for name in OF_COLOURS)


def _check_number(name: str, value: Any) -> None:
    most = MOST.get(name, float("inf"))
    kind, right = ("a whole number", int) if name in WHOLE else ("a number", (int, float))
    if isinstance(value, bool) or not isinstance(value, right) or not 0 <= value <= most or value == float("inf"):
        reach = f"from 0 to {most:g}" if name in MOST else "of 0 or more"
        raise UsageError(f"{name} came as {value}; expected {kind} {reach}")
