"""The same recording as the NumPy engine computes it, layer by layer."""

from __future__ import annotations

import numpy as np

from convlens.arithmetic import Recording
from convlens.errors import NetworkError
from convlens.graph import Graph
from convlens.scratch import Dropout, Network
from convlens.server.endpoint import Asked
from convlens.server.shelf import ServedRun
from convlens.workbench.scratch import scratch_network
from convlens.workbench.scratch_layers import PADS, SAME

TORCH, NUMPY = "torch", "numpy"


def engines_of(served: ServedRun) -> list[str]:
    """Whose values a unit can be shown with: torch's, and NumPy's where `convlens.scratch` has all of its layers."""

    def find() -> list[str]:
        try:
            scratch_network(served.model, served.run.input_shape)
        except NetworkError:
            return [TORCH]
        return [TORCH, NUMPY]

    found: list[str] = served.once("engines", find)
    return found


def as_numpy_computes(asked: Asked, recording: Recording) -> Recording:
    """Every layer's numbers from `convlens.scratch`. NetworkError for a network that it does not have."""
    served = asked.served
    with served.lock:
        network: Network = served.once("numpy engine", lambda: scratch_network(served.model, served.run.input_shape))
        picture = recording.picture.cpu().numpy()
        return recording.with_values(values_of(network, recording.graph, picture))


def values_of(network: Network, graph: Graph, picture: np.ndarray) -> dict[int, np.ndarray]:
    """Node -> what its layer gave: the layers are made of the nodes in order, views and paddings left out."""
    nodes = [node for node in graph.nodes if node.op not in PADS]
    nodes = [node for node in nodes if not (node.op in SAME and node.output_shape == node.operands()[0].shape)]
    values: dict[int, np.ndarray] = {}
    x = np.ascontiguousarray(np.moveaxis(picture, 0, -1), dtype=network.dtype)  # inside, the batch is the last axis
    ahead = iter(nodes)
    for layer in network.layers.values():
        x = layer.forward(x)
        if not isinstance(layer, Dropout):
            values[next(ahead).index] = np.moveaxis(x, -1, 0)
    return values
