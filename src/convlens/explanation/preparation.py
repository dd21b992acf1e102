"""Borrow a network for an explanation and give it back as it was, even after an error."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from convlens.errors import ConvlensError, ExplanationError, NetworkError, UsageError, counted, unknown_name
from convlens.explanation.memory import traced
from convlens.graph import bare_network, check_values, evaluating

# Mode, requires_grad and hooks belong to the network: threads that explain take turns, as in a server.
_TURN = threading.RLock()
VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)  # *inputs, **options
Change = Callable[[Tensor], Tensor]


@contextmanager
def prepared(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, no parameter wants a gradient, gradients can be taken; all restored, module by module.

    Buffers too, such as statistics of a batch norm that goes on counting in evaluation mode.
    """
    with _TURN, all_digits(), _buffers_kept(model), evaluating(model):
        wanted = [(p, p.requires_grad) for p in model.parameters() if p.requires_grad and not p.is_inference()]
        try:
            for parameter, _ in wanted:
                parameter.requires_grad_(False)
            with torch.inference_mode(False), torch.enable_grad():
                yield
        finally:
            for parameter, flag in wanted:
                parameter.requires_grad_(flag)


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    kept = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if not (is_lazy(buffer) or buffer.is_meta)
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, buffer, before in kept:
                if getattr(module, name, buffer) is not buffer:
                    setattr(module, name, buffer)
                if not torch.equal(buffer, before):
                    buffer.copy_(before)


@contextmanager
def failures_told(model: nn.Module, images: Tensor, verb: str) -> Iterator[None]:
    """What the network raises inside, whatever it is, becomes an ExplanationError; errors of our own stay."""
    try:
        yield
    except ConvlensError:
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        remedy = "check the pictures' shape, that it takes them alone, or take away checkpointing"
        if any(tensor.is_inference() for tensor in (*model.parameters(), *model.buffers())):
            remedy = (
                "its weights were made under torch.inference_mode and take part in no gradient; make the network "
                "outside it, or use occlusion"
            )
        raise ExplanationError(
            f"{type(model).__name__} failed on pictures {tuple(images.shape)} under {verb}: {type(error).__name__}: "
            f"{reason}; {remedy}"
        ) from error


@contextmanager
def all_digits() -> Iterator[None]:
    """Float32 as it is: a GPU's convolutions drop 13 of 23 bits by default (TF32), which moved a map by 6 %."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def network_with_values(model: nn.Module) -> nn.Module:
    """The network in what wraps it; UsageError for what is none, or is not ready."""
    if not isinstance(model, nn.Module):
        raise UsageError(f"the network came as {type(model).__name__}; expected an nn.Module")
    model = bare_network(model)
    check_values(model)
    return model


def as_input(model: nn.Module, images: Tensor) -> Tensor:
    """Pictures checked, and moved to the device and precision of the network, apart from the caller's tensor."""
    is_dense = isinstance(images, Tensor) and images.layout == torch.strided
    if not is_dense or images.ndim != 4 or not images.dtype.is_floating_point:
        came = type(images).__name__
        if isinstance(images, Tensor):
            came = f"{tuple(images.shape)} {images.dtype}{'' if is_dense else f', {images.layout}'}"
        raise UsageError(f"pictures must be a float tensor (N, C, H, W), preprocessed for the network; got {came}")
    _check_one_input(model)
    if not len(images):
        raise UsageError("no pictures to explain; give at least one")
    like = next((p for p in model.parameters() if p.is_floating_point()), images)
    check_values(model)
    if images.is_meta:
        raise UsageError("pictures lie on the meta device, which holds no values; give those of a real device")
    broken = (~torch.isfinite(images)).flatten(1).any(1).nonzero().flatten().tolist()
    if broken:
        raise UsageError(f"picture {broken[0]} holds NaN or infinity; check how it was preprocessed")
    return images.detach().to(like.device, like.dtype, copy=True)


def _check_one_input(model: nn.Module) -> None:
    try:
        arguments = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):  # of one that is not written in Python
        return
    needed = [one.name for one in arguments if one.default is one.empty and one.kind not in VARIABLE]
    if len(needed) > 1:
        raise ExplanationError(
            f"{type(model).__name__} needs {', '.join(needed)}, and an explanation gives a network one tensor, the "
            "pictures; wrap it in a module that holds the others"
        )


@contextmanager
def at_layer(model: nn.Module, layer: str, see: Callable[[object], Tensor | None]) -> Iterator[None]:
    """Inside, `see` is given what `layer` gives at each of its runs, and a tensor that it returns goes on in its place.

    The hook is always removed. ExplanationError for TorchScript, which takes none.
    """
    module = find_layer(model, layer)
    if isinstance(module, torch.jit.ScriptModule):
        raise ExplanationError(
            f"layer '{layer}' is TorchScript, which cannot be looked into; give the nn.Module that it was made from"
        )
    handle = module.register_forward_hook(lambda _module, _inputs, output: see(output))
    try:
        yield
    finally:
        handle.remove()


def channels_come_last(model: nn.Module, layer: str, images: Tensor) -> bool:
    """Are the maps of a layer (N, H, W, C), as between two permutations? By the graph; where there is none, no."""
    try:
        graph = traced(model, images)
    except NetworkError:
        return False
    own = [call for call in graph.finished if call.path == layer and len(call.output_shape) == 4]
    nodes = [call.node for call in own if call.node is not None and call.node >= 0]
    return bool(nodes) and graph.map_dims(nodes[-1]) == (1, 2)


@contextmanager
def replace_output(
    model: nn.Module, layer: str, images: Tensor, change: Change | None = None
) -> Iterator[list[Tensor]]:
    """Inside, the feature maps of `layer` start a graph of their own and land in the list, (N, channels, h, w).

    A module that runs several times is taken at its last run that gives feature maps. `change` makes others of them.
    """
    taken: list[Tensor] = []
    last = channels_come_last(model, layer, images)

    def start_graph(output: object) -> Tensor | None:
        if not isinstance(output, Tensor) or output.ndim != 4:
            return None
        maps = output.detach().permute(0, 3, 1, 2) if last else output.detach()
        activation = (maps if change is None else change(maps)).requires_grad_()
        taken[:] = [activation]
        given = activation.permute(0, 2, 3, 1) if last else activation
        return given.clone()  # an in-place module above must not write into the activation itself

    with at_layer(model, layer, start_graph):
        yield taken


def runs_told(model: nn.Module, layer: str, images: Tensor) -> str:
    """What the reader of pictures of a layer must know: that it runs several times in a pass; "" where it does not.

    Counted are runs that give feature maps, or one number a unit.
    """
    try:
        finished = traced(model, images).finished
    except NetworkError:
        return ""
    dims = [len(call.output_shape) for call in finished if call.path == layer]
    times = dims.count(4) or dims.count(2)
    if times < 2:
        return ""
    return f"layer '{layer}' runs {times} times in a pass, and only what its last run gave was looked at"


def only(taken: list[Tensor], layer: str, num_pictures: int) -> Tensor:
    """The feature maps that a pass left, (N, C, h, w), or the reason why there are none."""
    if not taken:
        raise ExplanationError(
            f"layer '{layer}' gave no feature maps (pictures, channels, height, width) in this pass; "
            "name a convolution or a block of them (of the maps over a picture, saliency needs no layer)"
        )
    if len(taken[0]) != num_pictures:
        raise ExplanationError(
            f"layer '{layer}' gave {counted(len(taken[0]), 'feature map')} for {counted(num_pictures, 'picture')}; "
            "name a layer that keeps one for each picture"
        )
    return taken[0]


def find_layer(model: nn.Module, layer: str) -> nn.Module:
    """The module of that dotted path."""
    if not isinstance(layer, str):
        raise UsageError(f"the layer came as {layer!r}; expected a module's dotted path, like 'features.3'")
    modules = dict(model.named_modules())
    if layer in modules:
        return modules[layer]
    inner = layer.removeprefix("module.")  # as nn.DataParallel calls it, which is looked through
    if inner in modules:
        raise UsageError(f"no layer is called '{layer}'; inside what spreads the network it is '{inner}'")
    raise unknown_name("layer", layer, modules, "`convlens measure` lists the layers of a network")


@contextmanager
def take_output(model: nn.Module, layer: str, images: Tensor) -> Iterator[list[Tensor]]:
    """As `replace_output`, but only looking: the last feature maps of `layer` land in the list, in no graph."""
    taken: list[Tensor] = []
    last = channels_come_last(model, layer, images)

    def look(output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            # an in-place module above writes into the original
            maps = output.dequantize() if output.is_quantized else output.detach().clone()
            taken[:] = [maps.permute(0, 3, 1, 2) if last else maps]

    with at_layer(model, layer, look):
        yield taken
