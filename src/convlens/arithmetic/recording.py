"""Every number that a network computes for one picture, node by node."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from convlens.arithmetic.keeping import Keeper, with_own_buffers
from convlens.arithmetic.names import layer_names
from convlens.errors import NetworkError, UsageError
from convlens.graph import Graph, Node, Operand, bare_network, trace
from convlens.graph.handing_over import HandingOver
from convlens.graph.nodes import NETWORK_INPUT
from convlens.graph.tracing import preserved


@dataclass(frozen=True, eq=False)
class Recording:
    """A graph with the numbers of one picture. `value(n)` is what node n gave; node -1 is the picture itself.

    Weights are not copied: they are read again when a unit is taken apart.
    """

    graph: Graph
    picture: Tensor
    made: tuple[tuple[Tensor, ...], ...]
    functions: tuple[Any, ...]
    constants: Mapping[tuple[int, int], Tensor]
    written_over: Mapping[tuple[int, int], Tensor]
    weights: tuple[tuple[Tensor, int], ...] = field(default=(), repr=False)  # with the version that was seen

    def value(self, node: int) -> np.ndarray:
        """float32, in the node's shape, the batch of one included."""
        return self.tensor(node).to("cpu", torch.float32).numpy()

    def tensor(self, node: int, output: int = 0) -> Tensor:
        """What the node gave; UsageError for a node that is not there."""
        if node == NETWORK_INPUT:
            return self.picture
        if not 0 <= node < len(self.made):
            raise UsageError(f"node {node} came; this network has the nodes -1 (the picture) to {len(self.made) - 1}")
        return self.made[node][output]

    def read(self, node: Node, place: int) -> Tensor:
        """Operand `place` of a node, as the node read it."""
        if (node.index, place) in self.written_over:
            return self.written_over[node.index, place]
        if (node.index, place) in self.constants:
            return self.constants[node.index, place]
        operand = node.operands()[place]
        assert operand.node is not None
        return self.tensor(operand.node, operand.output)

    @cached_property
    def layers(self) -> dict[int, str]:
        """What each node is called: the path of the module that gave it, or of the one at work and the operation."""
        return layer_names(self.graph)

    @cached_property
    def size_bytes(self) -> int:
        """Of all memory that is kept, weights left out."""
        tensors = [self.picture, *(tensor for made in self.made for tensor in made), *self.written_over.values()]
        memory = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in tensors}
        return sum(memory.values())

    def check_weights(self) -> None:
        """UsageError where the weights were changed since: sums of them would not give the recorded values."""
        if any(weight._version != version for weight, version in self.weights):
            raise UsageError("the network's weights have changed since it was recorded; record it anew")

    def with_values(self, values: Mapping[int, np.ndarray]) -> Recording:
        """The same network with these nodes' values, as another engine computed them; what hangs on them alike."""
        made: list[tuple[Tensor, ...]] = []
        changed = Recording(
            self.graph, self.picture, (), self.functions, self.constants, self.written_over, self.weights
        )
        for node in self.graph.nodes:
            if node.index in values:
                given = torch.as_tensor(np.ascontiguousarray(values[node.index]))
                made.append((given.reshape(node.output_shape), *self.made[node.index][1:]))
            else:
                object.__setattr__(changed, "made", tuple(made))
                made.append(_again(changed, node))
        object.__setattr__(changed, "made", tuple(made))
        return changed


def record_values(model: nn.Module, image: Tensor, *, graph: Graph | None = None) -> Recording:
    """A network and one preprocessed picture, (C, H, W) or (1, C, H, W) -> every node's numbers.

    In evaluation mode; the network is as before afterwards, also after an error. `graph` is a trace of it for this
    shape that is there already; else one is made, as the CPU runs it where that has other operations. NetworkError
    where the network does not run the operations of its trace on this picture.
    """
    model = bare_network(model)
    picture = _as_input(model, image)
    given = graph
    graph = trace(model, picture) if given is None else given
    if graph.input_shape != tuple(picture.shape):
        raise UsageError(
            f"the picture has the shape {tuple(picture.shape)}; the graph was traced for {graph.input_shape}"
        )
    keeper = _run(model, picture)
    if given is None and not _same(graph, keeper):
        graph = trace(model, picture, real=True)
    _check_same(model, graph, keeper)
    weights = tuple((p, p._version) for p in model.parameters() if not p.is_inference())
    return Recording(
        graph=graph,
        picture=keeper.picture.tensor,
        made=tuple(tuple(kept.tensor for kept in made) for made in keeper.made),
        functions=tuple(keeper.functions),
        constants={place: kept.tensor for place, kept in keeper.constants.items()},
        written_over=keeper.written_over,
        weights=weights,
    )


def _run(model: nn.Module, picture: Tensor) -> Keeper:
    own = picture.clone()
    # detached, as in a trace: of weights that learn torch multiplies in another order of operations
    named = {name: weight.detach() for name, weight in model.named_parameters()} | with_own_buffers(model)
    keeper = Keeper(own, named)
    with preserved(model), torch.no_grad(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the network has to say, it says when it predicts
        for module in model.modules():
            module.training = False
        try:
            with HandingOver(keeper.handed_over), keeper:
                functional_call(model, named, (own,))
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), "no reason given")
            raise NetworkError(
                f"{type(model).__name__} cannot run on a picture of {tuple(picture.shape)}: {type(error).__name__}: "
                f"{reason}; check the shape, or load its weights"
            ) from error
    return keeper


def _as_input(model: nn.Module, image: Tensor) -> Tensor:
    if not isinstance(image, Tensor) or not image.is_floating_point() or image.is_meta:
        came = f"{image.dtype} on {image.device}" if isinstance(image, Tensor) else type(image).__name__
        raise UsageError(f"the picture came as {came}; expected a float tensor (1, C, H, W), preprocessed")
    image = image[None] if image.ndim == 3 else image
    if len(image.shape) < 2 or len(image) != 1:
        raise UsageError(f"{tuple(image.shape)} came; expected one picture, (C, H, W) or (1, C, H, W)")
    like = next((p for p in model.parameters() if p.is_floating_point()), image)
    if like.is_meta:
        raise UsageError("the network's weights lie on the meta device, which holds no values; load them first")
    return image.detach().to(like.device, like.dtype)


def _same(graph: Graph, keeper: Keeper) -> bool:
    traced, ran = ([(node.op, node.output_shape) for node in nodes] for nodes in (graph.nodes, keeper.nodes))
    return traced == ran


def _check_same(model: nn.Module, graph: Graph, keeper: Keeper) -> None:
    for traced, ran in zip(graph.nodes, keeper.nodes, strict=False):
        if (traced.op, traced.output_shape) != (ran.op, ran.output_shape):
            raise NetworkError(
                f"{type(model).__name__} runs '{ran.op}' {ran.output_shape} on this picture where its trace has "
                f"'{traced.op}' {traced.output_shape} (node {traced.index}); its way hangs on the numbers or the device"
            )
    if len(graph.nodes) != len(keeper.nodes):
        raise NetworkError(
            f"{type(model).__name__} ran {len(keeper.nodes)} operations on this picture where its trace has "
            f"{len(graph.nodes)}; its way hangs on the numbers"
        )


def arguments_of(recording: Recording, node: Node, tensors: Mapping[int, Tensor]) -> dict[str, Any]:
    """The node's arguments by name, each operand replaced by tensor `place` of these, or else as it was read."""
    places = iter(range(len(node.operands())))

    def filled(value: Any) -> Any:
        if isinstance(value, Operand):
            place = next(places)
            return tensors[place] if place in tensors else recording.read(node, place)
        return [filled(part) for part in value] if isinstance(value, list | tuple) else value

    return {name: filled(value) for name, value in node.arguments.items()}


def run_again(recording: Recording, node: Node, tensors: Mapping[int, Tensor]) -> tuple[Tensor, ...]:
    """What the node's operator gives for these operands, by their places; the others are as they were read."""
    function = recording.functions[node.index]
    given = arguments_of(recording, node, tensors)
    schema = function._schema.arguments
    positional = [given[a.name] for a in schema if not a.kwarg_only]
    named = {a.name: given[a.name] for a in schema if a.kwarg_only}
    with torch.no_grad():
        outputs = function(*positional, **named)
    return tuple(leaf for leaf in torch.utils._pytree.tree_leaves(outputs) if isinstance(leaf, Tensor))


def _again(recording: Recording, node: Node) -> tuple[Tensor, ...]:
    if recording.functions[node.index] is None:
        raise NetworkError(f"'{node.op}' is no operation of torch, so it cannot run again on other values")
    copies = {place: recording.read(node, place).clone() for place in range(len(node.operands()))}
    return run_again(recording, node, copies)
