"""The recorder: sees every operation that torch runs, and which module runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from convlens.graph.nodes import NETWORK_INPUT, ModuleCall, Node, Operand, operands_in
from convlens.graph.shortcuts import known_result

# Element by element too, though torch does not tag them so.
# fmt: off
POINTWISE = frozenset({
    "hardswish", "_prelu_kernel", "log_sigmoid_forward", "rrelu_with_noise", "native_dropout", "bernoulli", "rsub",
    "fill", "zero", "copy", "clone", "_to_copy", "masked_fill", "where", "eq", "ne", "lt", "gt", "le", "ge",
})
# fmt: on
TELLING = frozenset({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape})  # values, as item and equal do
NOBODY: tuple[int | None, tuple[str, ...], int] = (None, (), 0)


class Recorder(TorchDispatchMode):
    """Under this mode every operation becomes a `Node`; `enter` and `leave` are the modules' hooks.

    Tensors are known by identity and are kept alive until the trace ends, so that no identity is used twice. Writes
    in place are followed by storage: who reads memory depends on the last that wrote into it, through any view.
    What is `handed_over` to NumPy is a node as well, and a tensor that comes from nowhere afterwards hangs on it.
    """

    def __init__(self, inputs: list[Tensor], named: dict[str, Tensor], *, on_meta: bool) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.calls: list[ModuleCall | None] = []
        self.finished: list[ModuleCall] = []
        self.read: list[int] = []  # nodes of which Python asked a number, or whose values say how large a result is
        self._open: list[tuple[str, str, int, int]] = [("", "", 0, -1)]
        self._makers: dict[int, tuple[int | None, tuple[str, ...], int]] = {}
        self._kept: list[Tensor] = []
        self._storages: dict[int, int] = {}
        self._last_write: dict[int, int] = {}
        self._on_input = {NETWORK_INPUT}
        self._unmade = NOBODY
        self._on_meta = on_meta
        for name, tensor in named.items():
            self._own(tensor, None, (name,))
        for tensor in inputs:
            self._own(tensor, NETWORK_INPUT, ())

    def _own(self, tensor: Tensor, node: int | None, names: tuple[str, ...], output: int = 0) -> None:
        self._makers[id(tensor)] = (node, names, output)
        self._kept.append(tensor)

    def _maker(self, tensor: Tensor) -> tuple[int | None, tuple[str, ...], int]:
        return self._makers.get(id(tensor), self._unmade)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False keeps torch from importing its whole compiler (a second) to mark us as not compiled."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._on_meta:
            # A tensor kept as a plain attribute is not among the parameters and still lies on its own device.
            moved, options = tree_map_only(Tensor, lambda t: t if t.is_meta else t.to("meta"), (args, kwargs))
            outputs = known_result(func, moved, options)
            outputs = func(*moved, **options) if outputs is None else outputs
        else:
            outputs = func(*args, **kwargs)
        self._record(func, args, kwargs, outputs)
        return outputs

    def _record(self, func: Any, args: Any, kwargs: Any, outputs: Any) -> None:
        tensors = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
        if not TELLING.isdisjoint(func.tags):
            self.read += [node for node in map(self.node_of, _counted_in(func, args, kwargs)) if node in self._on_input]
        if not tensors:
            return
        if tensors[0].numel() == 0 and func._schema.name == "aten::empty":
            return  # batch norm makes one for nothing
        schema = func._schema
        arguments, written = self._arguments(schema, args, kwargs)
        operands = operands_in(arguments.values())
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in schema.returns)
        names = tuple(dict.fromkeys(name for operand in operands for name in operand.names))
        if is_view and all(operand.node is None for operand in operands):
            for tensor in tensors:
                self._own(tensor, None, names)
            return
        index = len(self.nodes)
        inputs = self._dependencies(operands, args, kwargs)
        if not self._on_input.isdisjoint(inputs):
            self._on_input.add(index)
        for output, tensor in enumerate(tensors):
            self._own(tensor, index, (), output)
        for tensor in written:
            self._own(tensor, index, ())
            self._last_write[self._storage(tensor)] = index
        module, kind, _, _ = self._open[-1]
        self.nodes.append(
            Node(
                index=index,
                op=_short_name(func),
                qualified_name=func._schema.name,
                module=module,
                module_type=kind,
                inputs=inputs,
                parameters=names,
                arguments=arguments,
                output_shape=tuple(tensors[0].shape),
                output_bytes=tensors[0].numel() * tensors[0].element_size(),
                storages=tuple(dict.fromkeys(self._storage(tensor) for tensor in tensors)),
                is_view=is_view,
                is_in_place=bool(written),
                is_pointwise=is_pointwise(func),
                is_reduction=torch.Tag.reduction in func.tags,
                may_draw=torch.Tag.nondeterministic_seeded in func.tags,
                is_complex=any(t.is_complex() for t in tree_leaves((args, kwargs, outputs)) if isinstance(t, Tensor)),
            )
        )

    def _arguments(self, schema: Any, args: Any, kwargs: Any) -> tuple[dict[str, Any], list[Tensor]]:
        given = dict(zip((a.name for a in schema.arguments), args, strict=False)) | kwargs
        arguments, written = {}, []
        for argument in schema.arguments:
            value = given.get(argument.name, argument.default_value)
            if argument.alias_info is not None and argument.alias_info.is_write:
                written += [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
            arguments[argument.name] = _plain(tree_map_only(Tensor, self._operand, value))
        return arguments, written

    def _operand(self, tensor: Tensor) -> Operand:
        node, names, output = self._maker(tensor)
        if not names:
            return Operand(tuple(tensor.shape), node, names, output)
        return Operand(tuple(tensor.shape), node, names, output, tensor.stride(), int(tensor.storage_offset()))

    def _dependencies(self, operands: list[Operand], args: Any, kwargs: Any) -> tuple[int, ...]:
        """The makers of the operands, and whoever wrote into their memory since."""
        nodes = [operand.node for operand in operands if operand.node is not None]
        for tensor in (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)):
            write = self._last_write.get(self._storage(tensor))
            maker = self._maker(tensor)[0]
            if write is not None and (maker is None or write > maker):
                nodes.append(write)
        return tuple(dict.fromkeys(nodes))

    def _storage(self, tensor: Tensor) -> int:
        return self._storages.setdefault(tensor.untyped_storage()._cdata, len(self._storages))

    def node_of(self, tensor: Tensor) -> int | None:
        return self._maker(tensor)[0]

    def handed_over(self, tensor: Tensor, way: str) -> None:
        """Values that hang on the network's input are worked on elsewhere: an operation that nobody knows."""
        operand = self._operand(tensor)
        if operand.node not in self._on_input:
            return
        if not way.endswith("_"):  # what changes each number in its place shows Python none beside another
            self.read.append(operand.node)
        index = len(self.nodes)
        earlier = Operand((), *self._unmade)
        arguments = {"self": operand} | ({"earlier": earlier} if earlier.node is not None else {})
        module, kind, _, _ = self._open[-1]
        self.nodes.append(
            Node(
                index=index,
                op=f"Tensor.{way}",
                qualified_name=f"Tensor.{way}",
                module=module,
                module_type=kind,
                inputs=self._dependencies(operands_in(arguments.values()), (tensor,), {}),
                parameters=(),
                arguments=arguments,
                output_shape=operand.shape,
                output_bytes=0,
                storages=(-index - 1,),  # none that torch knows of
                is_view=False,
                is_in_place=False,
                is_pointwise=False,
                is_reduction=False,
            )
        )
        self._on_input.add(index)
        self._unmade = (index, (), 0)
        if way.endswith("_"):
            self._last_write[self._storage(tensor)] = index

    def hooks(self, path: str, module: nn.Module) -> tuple[Callable[..., None], Callable[..., None]]:
        """The two hooks that tell when this module begins and ends."""
        kind, is_leaf = type(module).__name__, next(module.children(), None) is None

        def enter(*_: Any) -> None:
            self._open.append((path, kind, len(self.nodes), len(self.calls)))
            self.calls.append(None)

        def leave(_module: nn.Module, _inputs: Any, output: Any) -> None:
            _, _, first, place = self._open.pop()
            tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
            node: int | None = None
            shape: tuple[int, ...] = ()
            num_bytes = 0
            if tensors:
                node, shape = self.node_of(tensors[0]), tuple(tensors[0].shape)
                num_bytes = tensors[0].numel() * tensors[0].element_size()
            call = ModuleCall(path, kind, is_leaf, first, len(self.nodes), node, shape, num_bytes)
            self.calls[place] = call
            self.finished.append(call)

        return enter, leave


def is_pointwise(func: Any) -> bool:
    """Does this operator of torch compute each element from those at the same position alone?"""
    return torch.Tag.pointwise in func.tags or _short_name(func) in POINTWISE


def _counted_in(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The tensors whose values say how large the result is: of an index the masks alone."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    if _short_name(func) in ("index", "masked_select"):
        return [tensor for tensor in tensors[1:] if tensor.dtype in (torch.bool, torch.uint8)]
    return tensors


def _short_name(func: Any) -> str:
    """ "aten::relu_" is relu, in place; what is not torch's own keeps its namespace."""
    namespace, name = func._schema.name.split("::")
    name = name if name.startswith("__") else name.rstrip("_")
    return name if namespace == "aten" else f"{namespace}::{name}"


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple) and not isinstance(value, Operand):
        return tuple(_plain(part) for part in value)
    return value
