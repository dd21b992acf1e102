"""Feature maps: what each channel of a layer answers to a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from convlens.errors import ExplanationError, UsageError, counted
from convlens.explanation.exciting import field_of
from convlens.explanation.filters import full_columns
from convlens.explanation.memory import passes
from convlens.explanation.preparation import (
    as_input,
    failures_told,
    network_with_values,
    only,
    prepared,
    runs_told,
    take_output,
)
from convlens.explanation.repeatable import check_repeatable
from convlens.explanation.verb import default_layer

if TYPE_CHECKING:
    from PIL import Image


def feature_maps(model: nn.Module, images: Tensor, layer: str | None = None) -> np.ndarray:
    """(N, C, H, W) pictures -> float32 (N, channels, h, w) of `layer`, by default the last with an extent.

    Of a layer that runs several times in a pass, those of its last run.
    """
    model = network_with_values(model)
    with prepared(model), torch.no_grad():
        inputs = as_input(model, images)
        layer = layer if layer is not None else default_layer(model, inputs)
        check_repeatable(model, inputs, layer)
        found = []
        for part in passes(model, inputs):
            with take_output(model, layer, part) as taken, failures_told(model, inputs, "feature_maps"):
                model(part)
            found.append(only(taken, layer, len(part)).float().cpu())
        sizes = {tuple(maps.shape[1:]) for maps in found}
        if len(sizes) > 1:
            raise ExplanationError(
                f"layer '{layer}' gives maps of {' and '.join(map(str, sorted(sizes)))} to these pictures, whose ways "
                "through the network part; give one picture at a time"
            )
        return torch.cat(found).numpy()


def feature_maps_picture(
    model: nn.Module, image: Tensor, layer: str | None = None, *, max_maps: int = 64, tile: int = 72
) -> Image.Image:
    """A contact sheet of the channels that answer most to one picture (1, C, H, W).

    Captions give channel number and largest value, the title what of the picture a unit sees. Every map has a scale of
    its own, from its smallest value to its largest; a map that is the same everywhere stays dark.
    """
    from convlens.pictures import colour, contact_sheet

    if len(image) != 1:
        raise UsageError(f"feature maps are drawn for one picture; got {len(image)}: pass images[:1]")
    model = network_with_values(model)
    if layer is None:
        with prepared(model):
            layer = default_layer(model, as_input(model, image))
    maps = feature_maps(model, image, layer)[0]
    strongest = np.argsort(-maps.max((1, 2)), kind="stable")[:max_maps]
    tiles = [colour(_scaled(maps[c])) for c in strongest]
    labels = [f"{c}\n{maps[c].max():.3g}" for c in strongest]
    title = _title(model, image, layer, maps, len(tiles))
    return contact_sheet(tiles, labels=labels, columns=full_columns(len(tiles)), tile=tile, title=title)


def _scaled(heat: np.ndarray) -> np.ndarray:
    low, high = heat.min(), heat.max()
    return (heat - low) / (high - low) if high > low else np.zeros_like(heat)


def _title(model: nn.Module, image: Tensor, layer: str, maps: np.ndarray, drawn: int) -> str:
    some = f"the {drawn} strongest of " if drawn < len(maps) else ""
    text = f"{layer}: {some}{counted(len(maps), 'map')} {maps.shape[1]}x{maps.shape[2]}"
    with prepared(model):
        images = as_input(model, image)
        seen, told = _seen(model, images, layer), runs_told(model, layer, images)
    return "; ".join(filter(None, (f"{text}, each unit sees {seen}" if seen else text, told)))


def _seen(model: nn.Module, images: Tensor, layer: str) -> str:
    """The receptive field of a layer's units, "" where the network cannot be traced."""
    field = field_of(model, images, layer)
    if field is None:
        return ""
    return "the whole picture" if all(field.whole) else f"{field.size[0]}x{field.size[1]} px"
