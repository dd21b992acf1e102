"""What rebuilds a network: its name in the zoo and the values that it was created with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import nn

from convlens.errors import UsageError, check_count


@dataclass(frozen=True)
class Architecture:
    """A name of the registry with its arguments; `options` holds only those that differ from the family's defaults."""

    name: str
    num_classes: int
    in_channels: int
    image_size: tuple[int, int]  # height, width
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "num_classes": self.num_classes,
            "in_channels": self.in_channels,
            "image_size": list(self.image_size),
            "options": {key: list(value) if isinstance(value, tuple) else value for key, value in self.options.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Architecture:
        """The inverse of `to_dict`; raises UsageError where an entry is missing."""
        try:
            height, width = values["image_size"]
            options = {
                key: tuple(value) if isinstance(value, list) else value for key, value in values["options"].items()
            }
            return cls(values["name"], values["num_classes"], values["in_channels"], (height, width), options)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                f"not a description of an architecture ({type(error).__name__}: {error}); "
                "expected name, num_classes, in_channels, image_size of two numbers, and options"
            ) from error


@dataclass(frozen=True)
class WeightsRecord:
    """What was loaded; `left_out` names the classifier's tensors that stay new, for another number of classes."""

    source: str  # "imagenet", or the path
    sha256: str  # of the file that was read or downloaded
    num_loaded: int
    left_out: tuple[str, ...]
    preprocessing: dict[str, Any] | None  # for `pictures.Preprocess.from_dict`, where it is known

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"left_out": list(self.left_out)}


class Network(nn.Module):
    """An image network: logits = head(stages(stem(images))), with a `stem` where the paper has one."""

    stages: nn.Module
    head: nn.Module
    architecture: Architecture
    weights_record: WeightsRecord | None = None


def check_image_size(value: Any) -> tuple[int, int]:
    """32 -> (32, 32); (height, width) stays; UsageError for all else."""
    sides = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(sides) != 2:
        raise UsageError(f"image_size is {value!r}, expected one side in pixels or (height, width)")
    return check_count("image_size", sides[0]), check_count("image_size", sides[1])


def check_padding(value: Any) -> str:
    """Where a convolution puts its zeros; UsageError for what is neither way."""
    if value not in ("symmetric", "same"):
        raise UsageError(f"padding is {value!r}, expected 'symmetric', or 'same' as TensorFlow pads")
    return str(value)


def check_width(value: Any) -> float:
    """A width multiplier; UsageError where it is not a number above 0 and at most 8."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 8:
        raise UsageError(
            f"width is {value!r}, expected a number above 0 and at most 8, such as 0.5 for half the channels"
        )
    return float(value)


def check_switch(what: str, value: Any) -> bool:
    """`value` as it is where it is True or False; UsageError otherwise."""
    if not isinstance(value, bool):
        raise UsageError(f"{what} is {value!r}, expected True or False")
    return value
