"""The layers of a run: which a sweep goes over, which is the last with feature maps, what their units see."""

from __future__ import annotations

import numpy as np
import torch

from convlens.errors import ExplanationError, NetworkError, counted
from convlens.explanation.exciting import field_of
from convlens.explanation.preparation import as_input, prepared, runs_told
from convlens.explanation.verb import default_layer
from convlens.graph import trace
from convlens.runs import Run

MOST_LAYERS = 16


def layers_of(run: Run, pixels: np.ndarray) -> tuple[list[str], str]:
    """Layers with feature maps of more than one position, no two of the same tensor, spread over the network.

    With them which share they are, as text: "7 layers", or "16 of 26 layers, evenly chosen".
    """
    try:
        graph = trace(run.model, run.preprocess([pixels]))
    except NetworkError as error:
        raise ExplanationError(f"the layers cannot be gone over: {error}") from error
    made = {call.path: call.node for call in graph.finished}
    spatial = [one.path for one in graph.spatial_layers() if one.output_shape[2] * one.output_shape[3] > 1 and one.path]
    chosen = list({made[path]: path for path in spatial}.values())
    if not chosen:
        raise ExplanationError("no layer of this network gives feature maps, so there is nothing to sweep over")
    places = np.linspace(0, len(chosen) - 1, min(MOST_LAYERS, len(chosen))).round().astype(int)
    if len(places) == len(chosen):
        return chosen, counted(len(chosen), "layer")
    return [chosen[place] for place in places], f"{len(places)} of {counted(len(chosen), 'layer')}, evenly chosen"


def last_layer(run: Run) -> str:
    """The last layer with a spatial extent. Raises ExplanationError where there is none."""
    with prepared(run.model):
        return default_layer(run.model, _blank(run))


def receptive_field(run: Run, layer: str) -> tuple[int, ...] | None:
    """(height, width) in pixels of the network's input that a unit of the layer sees; None where nobody can tell."""
    with prepared(run.model):
        field = field_of(run.model, _blank(run), layer)
    return None if field is None else field.size


def runs_of(run: Run, layer: str | None) -> str:
    """That only the last of several runs of the layer in a pass is drawn; "" where it has one run."""
    if layer is None:
        return ""
    with prepared(run.model):
        return runs_told(run.model, layer, _blank(run))


def _blank(run: Run) -> torch.Tensor:
    return as_input(run.model, torch.zeros(1, run.preprocess.channels, *run.preprocess.size))
