"""A published training: everything that a set's record needs, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from convlens.data import Augment
from convlens.training.recipe import Recipe


@dataclass(frozen=True)
class Record:
    """`data` is the named set that it was made for; `is_default`: what `convlens train DATA` does there unasked.

    `tta`: the test-time augmentation with which its result is scored, as `convlens evaluate --tta` takes it.
    """

    name: str
    data: str
    model: str
    recipe: Recipe
    augment: Augment
    image_size: int | None = None
    crop_ratio: float = 1.0
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    is_default: bool = False
    tta: str = "none"
