"""What a file of weights says about the network that it belongs to, for a file says neither width nor preprocessing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convlens.errors import StorageError, UsageError, counted
from convlens.layers import unallocated
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Entry, entry
from convlens.zoo.small import SMALL
from convlens.zoo.weights.layout import axes_of, is_tensorflow, sizes_agree
from convlens.zoo.weights.order import in_layer_order
from convlens.zoo.weights.published import PREPROCESSING, is_published_file, published
from convlens.zoo.weights.reading import FileTensors, read_tensors

WIDTHS = (1.0, 0.75, 0.5, 0.25, 0.35, 1.25, 1.3, 1.4, 0.125, 1.5, 2.0)
SIDE = re.compile(r"[_-](\d{2,3})(?:[._-](?:quant|frozen|float))*$")  # mobilenet_v1_0.5_160
TENSORFLOW = {"mean": [128 / 255] * 3, "std": [128 / 255] * 3}  # (x - 128) / 128


@dataclass(frozen=True)
class FileFacts:
    """`options` hold those given and those that the file tells, `read` these alone; what nothing tells is None."""

    num_classes: int
    image_size: int | None
    in_channels: int | None
    options: dict[str, Any] = field(default_factory=dict)
    read: dict[str, Any] = field(default_factory=dict)

    def words(self) -> str:
        """ "1,001 classes, 160 px, width 0.5, padding same"."""
        size = [f"{self.image_size} px"] if self.image_size else []
        return ", ".join(
            [counted(self.num_classes, "class", "classes"), *size, *(f"{k} {v}" for k, v in self.read.items())]
        )


def describe_weights(name: str, path: str | Path, given: Mapping[str, Any] | None = None) -> FileFacts:
    """Classes, side and options of a network of the zoo as a file of weights tells them; `given` options are kept.

    The classes are the last tensor's length; the width is the one whose tensors have the file's sizes; TensorFlow's
    axes come with its padding; a side is what the file's name ends in.
    """
    described, options = entry(name), dict(given or {})
    names = list(_unallocated(described, options).state_dict())
    content = in_layer_order(read_tensors(Path(path)), described.family, names)
    if "padding" in described.options and "padding" not in options and is_tensorflow(content.tensors):
        options["padding"] = "same"
    if "width" in described.options and "width" not in options:
        options |= _width(described, content, options)
    tensors = list(content.tensors.items())
    last, outputs, filters = tensors[-1][0], tensors[-1][1].shape, tensors[0][1].shape
    if 0 in outputs:
        raise StorageError(
            f"{path}: '{last}', the last tensor, is empty; expected a number for each class; fetch the file again"
        )
    return FileFacts(
        num_classes=outputs[0] if outputs else 1,
        image_size=_side(Path(path)),
        in_channels=filters[axes_of(content.tensors).index("I")] if len(filters) == 4 else None,
        options=options,
        read={key: value for key, value in options.items() if key not in (given or {})},
    )


def _width(described: Entry, content: FileTensors, options: Mapping[str, Any]) -> dict[str, float]:
    weights = list(content.tensors.values())
    for width in WIDTHS if content.ordered else ():
        with suppress(UsageError):  # a family may have some widths only
            if sizes_agree(_unallocated(described, {**options, "width": width}), weights):
                return {} if width == 1.0 else {"width": width}
    return {}


def _unallocated(described: Entry, options: Mapping[str, Any]) -> Network:
    """The network at its paper's resolution without memory for its weights."""
    with unallocated():
        return described.make(
            num_classes=described.num_classes,
            in_channels=described.in_channels,
            image_size=(described.resolution, described.resolution),
            **options,
        )


def _side(path: Path) -> int | None:
    found = SIDE.search(path.stem)
    side = int(found[1]) if found else 0
    return side if 32 <= side <= 640 and side % 16 == 0 else None


def preprocessing_of(network: Network, content: FileTensors, path: Path, sha256: str) -> dict[str, Any] | None:
    """As published, for a published file; else the custom of where it comes from.

    That is TensorFlow's (x - 128) / 128, or ImageNet's mean and deviation.
    """
    if network.architecture.in_channels != 3:
        return None
    weights = published(network.architecture.name)
    if weights is not None and is_published_file(weights, path, sha256):
        known = weights.preprocessing
    else:
        known = PREPROCESSING | (TENSORFLOW if is_tensorflow(content.tensors) else {})
    size = list(network.architecture.image_size)
    return {**known, "size": size, "crop_ratio": known["crop_ratio"] if min(size) > SMALL else 1.0}
