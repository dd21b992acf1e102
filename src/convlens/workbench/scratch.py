"""A torch network that is a plain chain of layers -> the same network in NumPy, weights and all.

The network is traced, so it does not matter how its modules are nested or whether a layer is a module or a function.
What hangs on more than the layer before (shortcuts, branches, gates) is no chain and is refused, as is every operation
that `convlens.scratch` does not have; the error names the layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from convlens.errors import NetworkError, UsageError
from convlens.graph import Graph, Node, bare_network, trace
from convlens.runs import Run
from convlens.scratch import Dropout, Layer, Network
from convlens.workbench.own_network import open_run
from convlens.workbench.scratch_layers import DRAWS, PADS, SAME, TRANSLATE, Found, no_layer


def scratch_network(
    network: Run | nn.Module | str | Path,
    input_shape: Sequence[int] | None = None,
    *,
    dtype: type | np.dtype | None = None,
) -> Network:
    """A run, or a module with the shape of its input (1, C, H, W) -> `convlens.scratch.Network`.

    Parameters and running statistics keep their names, so `Network.save` writes the run's weights file. Inputs are what
    the torch network takes: `run.preprocess(pictures)`. The precision is that of the weights unless `dtype` is given.
    Dropout is taken over where it is a module; as a function it is nothing outside training, and left out. NetworkError
    for a layer that scratch does not have.
    """
    if isinstance(network, nn.Module):
        if input_shape is None:
            raise UsageError("a module came without input_shape; give the shape of its input, such as (1, 1, 28, 28)")
        model, shape = bare_network(network), tuple(input_shape)
    else:
        run = open_run(network)
        model, shape = run.model, run.input_shape
    graph = trace(model, shape)
    _check_chain(graph)
    weights = {name: tensor.detach().cpu() for name, tensor in model.state_dict(keep_vars=True).items()}
    layers = _named(graph, model, weights)
    if dtype is None:
        dtype = np.float64 if any(tensor.dtype == torch.float64 for tensor in weights.values()) else np.float32
    return Network(layers, seed=None, dtype=dtype)


def _check_chain(graph: Graph) -> None:
    """NetworkError unless each operation reads what the one before it made, and the last one gives the output."""
    for node in graph.nodes:
        if node.op in DRAWS:
            raise no_layer(node, "it draws in evaluation too; give a function's dropout training=self.training")
    for node in graph.nodes:
        read = [operand.node for operand in node.operands() if operand.node is not None]
        if read != [node.index - 1]:
            raise no_layer(node, "it does not read the layer before alone")
    if graph.output_nodes != (len(graph.nodes) - 1,) or not graph.nodes:
        raise NetworkError("this network's output is not what its last layer gives; scratch has plain chains only")


def _named(graph: Graph, model: nn.Module, weights: dict[str, torch.Tensor]) -> dict[str, Layer]:
    """Each layer by the path of its module, which its weights are named by."""
    layers: dict[str, Layer] = {}
    pads: list[Node] = []
    dropouts = _dropouts(graph, model)
    for node in graph.nodes:
        layers |= dropouts.get(node.index, {})
        if node.op in PADS:
            pads.append(node)
            continue
        if node.op in SAME and node.output_shape == node.operands()[0].shape:
            continue
        if node.op not in TRANSLATE:
            raise no_layer(node, "scratch has no such layer")
        try:
            found = TRANSLATE[node.op](node, pads, weights)
        except UsageError as error:  # an option that the layer of scratch refuses
            raise no_layer(node, str(error)) from error
        if pads:
            raise no_layer(pads[0], "scratch pads inside a convolution only")
        layers[_free(layers, found, node)] = found.layer
    if pads:
        raise no_layer(pads[0], "scratch pads inside a convolution only")
    return layers | dropouts.get(len(graph.nodes), {})


def _free(layers: dict[str, Layer], found: Found, node: Node) -> str:
    """The name of its weights; else that of its module, with a number where several operations are of one."""
    if found.name is not None:
        if found.name in layers:
            raise no_layer(node, "its weights are used twice")
        return found.name
    name = node.module or node.op
    others = (f"{name}_{number}" for number in range(2, len(layers) + 3))
    return next(one for one in (name, *others) if one not in layers)


def _dropouts(graph: Graph, model: nn.Module) -> dict[int, dict[str, Layer]]:
    """Dropout by the operation that it stands before: in use it does nothing, so no operation tells of it."""
    found: dict[int, dict[str, Layer]] = {}
    times: Counter[str] = Counter()
    for call in graph.modules:
        module = model.get_submodule(call.path)
        if isinstance(module, nn.Dropout):
            times[call.path] += 1
            name = call.path if times[call.path] == 1 else f"{call.path}_{times[call.path]}"
            try:
                found.setdefault(call.first, {})[name] = Dropout(module.p)
            except UsageError as error:
                raise NetworkError(f"layer '{call.path}' is {call.kind}: {error}") from error
        elif isinstance(module, nn.modules.dropout._DropoutNd):
            raise NetworkError(f"layer '{call.path}' is {call.kind}, which scratch does not have; it has Dropout")
    return found
