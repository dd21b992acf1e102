"""Which layers a sweep goes over."""

from __future__ import annotations

import numpy as np

from convlens.errors import ExplanationError, NetworkError
from convlens.graph import trace
from convlens.runs import Run

MOST_LAYERS = 16


def layers_of(run: Run, pixels: np.ndarray) -> list[str]:
    """Layers with feature maps of more than one position, no two of the same tensor, spread over the network."""
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
    return [chosen[place] for place in places]
