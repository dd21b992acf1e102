"""A network as the operations of torch that it ran, which can run again for any number of pictures.

It is recorded twice, with one picture and with two: a whole number that differs (a shape) hangs on how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only, tree_unflatten


@dataclass(frozen=True)
class Value:
    """A tensor that hangs on the pictures; 0 is the pictures themselves."""

    index: int


@dataclass(frozen=True)
class PerPicture:
    """A whole number that grows with the number of pictures."""

    none: int
    each: int

    def for_(self, pictures: int) -> int:
        return self.none + self.each * pictures


Values = list[Any] | dict[int, Any]  # by their index


@dataclass(frozen=True)
class Step:
    """One operation. Its arguments hold a `Value` or `PerPicture` where they hang on the pictures."""

    run: Any  # torch's operator, or what takes its place
    op: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    outputs: tuple[int, ...]

    def values(self) -> list[int]:
        """The indices of those it reads."""
        leaves = tree_leaves((self.arguments, self.options))
        return [leaf.index for leaf in leaves if isinstance(leaf, Value)]

    def __call__(self, values: Values, pictures: int) -> Any:
        def given(leaf: Any) -> Any:
            if isinstance(leaf, Value):
                return values[leaf.index]
            return leaf.for_(pictures) if isinstance(leaf, PerPicture) else leaf

        leaves, shape = tree_flatten((self.arguments, self.options))
        arguments, options = tree_unflatten([given(leaf) for leaf in leaves], shape)
        return self.run(*arguments, **options)

    def results(self, given: Any) -> list[tuple[int, Any]]:
        """What the operation gave, each with its index."""
        return list(zip(self.outputs, given if isinstance(given, tuple | list) else (given,), strict=False))


@dataclass(frozen=True)
class Recorded:
    """`output` is the value that the network returned."""

    steps: tuple[Step, ...]
    num_values: int
    output: int

    @cached_property
    def done(self) -> tuple[tuple[int, ...], ...]:
        """After each step, the values that no later one reads."""
        last = {value: place for place, step in enumerate(self.steps) for value in step.values()}
        last.pop(self.output, None)
        after: list[list[int]] = [[] for _ in self.steps]
        for value, place in last.items():
            after[place].append(value)
        return tuple(map(tuple, after))

    def run(self, images: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Every value, with its index, as it comes; only what is still to be read is kept."""
        values: list[Any] = [None] * self.num_values
        values[0] = images
        for step, done in zip(self.steps, self.done, strict=True):
            for index, value in step.results(step(values, len(images))):
                values[index] = value
                yield index, value
            for value in done:
                values[value] = None

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> the logits, (N, K)."""
        return next(value for index, value in self.run(images) if index == self.output)


class NotRecordedError(Exception):
    """This network does more than run the same operations on any pictures."""


def record(model: nn.Module, image: Tensor) -> Recorded:
    """(1, C, H, W). Raises NotRecordedError, also where the network cannot run."""
    try:
        single, double = _run(model, image), _run(model, image.expand(2, *image.shape[1:]))
    except Exception as error:  # compilers and other modes have errors of their own
        raise NotRecordedError(str(error)) from error
    if len(single.steps) != len(double.steps) or single.output != double.output:
        raise NotRecordedError("other operations for two pictures than for one")
    steps = tuple(_merged(one, two) for one, two in zip(single.steps, double.steps, strict=True))
    return Recorded(steps, single.num_values, single.output)


def _run(model: nn.Module, images: Tensor) -> Recorded:
    own = images.clone()
    recorder = _Recorder(own)
    with torch.no_grad(), recorder:
        output = model(own)
    index = recorder.indices.get(id(output))
    if index is None or not isinstance(output, Tensor) or output.ndim != 2:
        raise NotRecordedError("no logits")
    return Recorded(tuple(recorder.steps), recorder.num_values, index)


class _Recorder(TorchDispatchMode):
    """Tensors are known by identity, so all are kept until the end. Writes in place become new values."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.indices: dict[int, int] = {}
        self.num_values = 0
        self._kept: list[Any] = []
        self._looked_into: set[int] = set()  # memory that views share
        self._own(images)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False keeps torch from importing its whole compiler (a second) to mark us as not compiled."""
        return False

    def _own(self, tensor: Tensor) -> int:
        self._kept.append(tensor)
        self.indices[id(tensor)] = self.num_values
        self.num_values += 1
        return self.indices[id(tensor)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        outputs = func(*args, **kwargs)
        self._kept.append((args, kwargs, outputs))
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if any(id(leaf) in self.indices for leaf in read):
            self._record(func, args, kwargs, outputs)
        elif torch.Tag.nondeterministic_seeded in func.tags:
            raise NotRecordedError("chance")
        return outputs

    def _record(self, func: Any, args: Any, kwargs: Any, outputs: Any) -> None:
        tensors = outputs if isinstance(outputs, tuple | list) else (outputs,)
        if torch.Tag.nondeterministic_seeded in func.tags or not all(isinstance(t, Tensor) for t in tensors):
            raise NotRecordedError(f"{func}: chance, or the network looks at a value")
        arguments, options = tree_map_only(Tensor, self._placeholder, (args, kwargs))
        run = func
        if func._schema.is_mutable:
            run = self._out_of_place(func, args, outputs)
        elif any(r.alias_info is not None for r in func._schema.returns):
            self._looked_into |= {t.untyped_storage()._cdata for t in tensors}
        op = run._schema.name.removeprefix("aten::")
        if op in ("as_strided", "_reshape_alias"):
            if args[0].shape.numel() != outputs.numel() or not torch.equal(args[0].flatten(), outputs.flatten()):
                raise NotRecordedError(f"{op}: the layout in memory is the network's own")
            arguments, op = arguments[:2], "view"
        if op in ("view", "_unsafe_view"):  # feature maps may lie in another layout when they run again
            run = torch.ops.aten.reshape.default
        self.steps.append(Step(run, op, tuple(arguments), options, tuple(self._own(t) for t in tensors)))

    def _placeholder(self, tensor: Tensor) -> Value | Tensor:
        index = self.indices.get(id(tensor))
        return tensor.detach() if index is None else Value(index)

    def _out_of_place(self, func: Any, args: Any, output: Any) -> Any:
        """relu_ -> relu, where nothing else looks into the memory that it writes."""
        name, overload = func._schema.name.removeprefix("aten::"), func._overloadname
        packet = getattr(torch.ops.aten, name[:-1], None) if name.endswith("_") else None
        if packet is None or overload not in packet.overloads() or output is not args[0]:
            raise NotRecordedError(f"{func} writes in place")
        if id(output) not in self.indices or output.untyped_storage()._cdata in self._looked_into:
            raise NotRecordedError(f"{func} writes into shared memory")
        return getattr(packet, overload)


def _merged(one: Step, two: Step) -> Step:
    if one.run is not two.run or one.outputs != two.outputs:
        raise NotRecordedError("other operations for two pictures than for one")
    first, shape = tree_flatten((one.arguments, one.options))
    second, other = tree_flatten((two.arguments, two.options))
    if shape != other:
        raise NotRecordedError("other arguments for two pictures than for one")
    arguments, options = tree_unflatten([_for_any(a, b) for a, b in zip(first, second, strict=True)], shape)
    return Step(one.run, one.op, arguments, options, one.outputs)


def _for_any(one: Any, two: Any) -> Any:
    """What stands for the argument, whatever the number of pictures."""
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        same = one.shape == two.shape and one.dtype == two.dtype
        if same and (one.data_ptr() == two.data_ptr() or torch.equal(one, two)):
            return one
    elif type(one) is type(two) and one == two:
        return one
    elif isinstance(one, int) and isinstance(two, int):
        return PerPicture(2 * one - two, two - one)
    raise NotRecordedError("a constant that hangs on the number of pictures")
