"""Trace any network once, without running it and without touching it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves, tree_map_only

from convlens.errors import NetworkError, UsageError
from convlens.graph.graph import Graph
from convlens.graph.handing_over import HandingOver
from convlens.graph.recording import Recorder
from convlens.graph.shortcuts import empty_like

Inputs = Sequence[int] | Tensor | tuple[Any, ...]
RUN_ONCE = "run the network once on a picture first, where it is named by --network at the end of its __init__"


def trace(model: nn.Module, inputs: Inputs, *, real: bool = False) -> Graph:
    """A network and the whole shape of its input, (1, 3, 224, 224), or example inputs (a tensor or a tuple) -> Graph.

    It runs in evaluation mode on the meta device: shapes only, no weights are allocated and nothing is computed. A
    network whose path depends on values is traced on the CPU with copies of its weights instead, and so is any with
    `real`: its operations as the CPU runs them, where torch has other ways for some layers. The model is as before
    afterwards, also after an error. NetworkError when neither works.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"the network came as {model!r:.80}; expected an nn.Module")
    model = bare_network(model)
    hidden = next((part for part in model.modules() if isinstance(part, torch.jit.ScriptModule)), None)
    if hidden is not None:
        raise NetworkError(
            f"{type(hidden).__name__} is TorchScript, whose layers cannot be looked into; give the nn.Module that it "
            "was made from, or torch.export's program.module()"
        )
    lazy = [name for name, parameter in model.named_parameters() if is_lazy(parameter)]
    if lazy:
        raise NetworkError(f"the parameter '{lazy[0]}' has no shape yet (a lazy module); {RUN_ONCE}")
    examples = _examples(model, inputs)
    if not real:
        try:
            return _traced(model, examples, on_meta=True)
        except Exception:
            # What meta tensors cannot do (a branch on a value, an operator without a meta kernel) real ones may.
            pass
    try:
        return _traced(model, examples, on_meta=False)
    except Exception as error:
        seen = (tuple(x.shape) if isinstance(x, Tensor) else repr(x)[:40] for x in tree_leaves(examples))
        shapes = ", ".join(map(str, seen)) or "nothing"
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        raise NetworkError(
            f"{type(model).__name__} cannot run on an input of {shapes}: {type(error).__name__}: {reason}; "
            "check the shape (batch included), or give example tensors"
        ) from error


def bare_network(model: nn.Module) -> nn.Module:
    """The network in what compiles it or spreads it over devices."""
    while True:
        spread = isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel)
        inner = getattr(model, "module" if spread else "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            break
        model = inner
    return model


def check_values(model: nn.Module) -> None:
    """UsageError for a network of which a part has no values."""
    named = (*model.named_parameters(), *model.named_buffers())
    shapeless = next((name for name, tensor in named if is_lazy(tensor)), None)
    if shapeless is not None:
        raise UsageError(f"a lazy layer of the network has no weights yet ('{shapeless}'); {RUN_ONCE}")
    without = next((name for name, tensor in named if tensor.is_meta), None)
    if without is not None:
        raise UsageError(
            f"the network's weights lie on the meta device, which holds no values ('{without}'); load them first"
        )


def _examples(model: nn.Module, inputs: Inputs) -> tuple[Any, ...]:
    if isinstance(inputs, Tensor):
        return (inputs,)
    numbers = isinstance(inputs, Sequence) and any(isinstance(size, float) for size in inputs)
    if not isinstance(inputs, Sequence) or isinstance(inputs, str | bytes) or not inputs or numbers:
        raise UsageError(
            f"inputs are {inputs!r:.80}, expected the shape in whole numbers, (1, 3, 224, 224), or a tuple of example "
            "tensors"
        )
    if not all(isinstance(size, int) for size in inputs):
        return tuple(inputs)
    if min(inputs) < 1:
        raise UsageError(
            f"the input shape {tuple(inputs)} has a size below 1; expected (batch, channels, height, width)"
        )
    floating = (p.dtype for p in model.parameters() if p.is_floating_point())
    return (torch.empty(tuple(inputs), dtype=next(floating, torch.float32), device="meta"),)


def _traced(model: nn.Module, examples: tuple[Any, ...], *, on_meta: bool) -> Graph:
    placed = tree_map_only(Tensor, _to_meta if on_meta else _to_cpu, examples)
    tensors = [leaf for leaf in tree_leaves(placed) if isinstance(leaf, Tensor)]
    with preserved(model), torch.no_grad(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the network has to say, it says when it runs
        named = dict(model.named_parameters()) | dict(model.named_buffers())
        named = {name: _to_meta(t) if on_meta else t.detach().to("cpu", copy=True) for name, t in named.items()}
        recorder = Recorder(tensors, named, on_meta=on_meta)
        for path, module in model.named_modules():
            module.training = False
            enter, leave = recorder.hooks(path, module)
            module.register_forward_pre_hook(enter, prepend=True)
            module.register_forward_hook(leave)
        with torch.device("meta") if on_meta else nullcontext(), HandingOver(recorder.handed_over), recorder:
            outputs = functional_call(model, named, placed)
    results = [recorder.node_of(leaf) for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
    return Graph(
        nodes=tuple(recorder.nodes),
        modules=tuple(call for call in recorder.calls if call is not None),
        finished=tuple(recorder.finished),
        input_shapes=tuple(tuple(t.shape) for t in tensors),
        input_bytes=sum(t.numel() * t.element_size() for t in tensors),
        output_nodes=tuple(dict.fromkeys(node for node in results if node is not None)),
        used_real_tensors=not on_meta,
        read_nodes=tuple(dict.fromkeys(recorder.read)),
    )


def _to_meta(tensor: Tensor) -> Tensor:
    return empty_like(tensor.detach())


def _to_cpu(tensor: Tensor) -> Tensor:
    if not tensor.is_meta:
        return tensor.detach().to("cpu", copy=True)
    own = torch.Generator().manual_seed(0)
    return torch.rand(tensor.shape, generator=own, dtype=torch.float32).to(tensor.dtype)


@contextmanager
def preserved(model: nn.Module) -> Iterator[None]:
    """Puts back every attribute of every module, and the contents of the lists, dicts and sets among them.

    That covers hooks, modes, parameters, buffers, and what a forward stores on the way. `functional_call` alone is not
    enough: it leaves the flat weight list of an LSTM pointing at the substitutes.
    """
    saved = [(module, dict(module.__dict__)) for module in model.modules()]
    holders = [(v, v.copy()) for _, state in saved for v in state.values() if isinstance(v, list | dict | set)]
    try:
        yield
    finally:
        for module, state in saved:
            module.__dict__.clear()
            module.__dict__.update(state)
        for holder, contents in holders:
            _refill(holder, contents)


def _refill(holder: Any, contents: Any) -> None:
    holder.clear()
    if isinstance(holder, list):
        holder.extend(contents)
    else:
        holder.update(contents)
