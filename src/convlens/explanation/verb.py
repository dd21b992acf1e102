"""`explain`: the one verb for all methods. It prepares the network, asks the method and restores everything."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convlens.errors import ConvlensError, ExplanationError, NetworkError, UsageError
from convlens.explanation.blur import blurred
from convlens.explanation.memory import pictures_at_once, traced
from convlens.explanation.methods import METHODS, Method, find_method
from convlens.explanation.preparation import (
    as_input,
    failures_told,
    find_layer,
    network_with_values,
    prepared,
    runs_told,
)
from convlens.explanation.question import Question, Target, TargetLike
from convlens.explanation.repeatable import check_repeatable
from convlens.graph import Node

SEEN = 1 / 75  # of the longer side, the deviation over which signed pixels are summed up to be seen


@dataclass(frozen=True)
class Explanation:
    """What one method answered for N pictures.

    `maps` are raw values, float32 (N, H, W) in the resolution of the input; `sign` says how to read them. `targets` has
    one class a picture and is empty for a target function; `note` holds what the reader of the maps must know.
    `attributions` are those of every channel, float32 (N, C, H, W), None for a method that has none.
    """

    method: str
    maps: np.ndarray
    targets: tuple[int, ...]
    layer: str | None
    sign: str
    note: str = ""
    attributions: np.ndarray | None = None
    signed: bool = False

    def heat(self, *, clip: float = 0.995) -> np.ndarray:
        """(N, H, W) for pictures: 0 stays 0, the `clip` quantile of each map's magnitude becomes 1.

        In 0..1, or in -1..1 where the method is `signed`: then what is below 0 speaks against the class. Signed shares
        of single pixels are summed up first, under a normal blob: of two colours pixel by pixel no eye sees anything.
        """
        if not 0 <= clip <= 1:
            raise UsageError(f"clip came as {clip}; expected 0 to 1, the share of the pixels below full colour")
        maps = self.maps
        if self.signed and self.attributions is not None:
            maps = blurred(torch.from_numpy(maps)[:, None], max(maps.shape[1:]) * SEEN)[:, 0].numpy()
        magnitude = np.abs(maps)
        top = np.quantile(magnitude, clip, axis=(1, 2), keepdims=True)
        top = np.where(top > 0, top, magnitude.max(axis=(1, 2), keepdims=True))
        scaled = np.divide(maps, top, out=np.zeros_like(maps), where=top > 0)
        return np.clip(scaled, -1 if self.signed else 0, 1).astype(np.float32)


def explain(
    model: nn.Module,
    images: Tensor,
    target: TargetLike = None,
    *,
    method: str | Method = "grad_cam",
    layer: str | None = None,
    **options: Any,
) -> Explanation:
    """(N, C, H, W) preprocessed pictures -> one map (H, W) a picture, and what it is of.

    `target` is None for the predicted class, a class, one class a picture, or a function of the logits, (N, K) -> (N,).
    `layer` is a module's dotted path; by default the last that still has a spatial extent. `options` are the method's
    own, such as `steps` of integrated gradients; `METHODS[name].options` lists them. UsageError for a layer, a class or
    an option that is not there, ExplanationError where the method is not defined for this network.
    Works in any mode, with frozen weights, and under no_grad; the network is given back as it was, even after an error.
    """
    model, chosen = network_with_values(model), find_method(method)
    chosen.check_options(options)
    if layer is not None and not chosen.uses_layer:
        raise UsageError(f"method {chosen.name} looks at no layer, but layer '{layer}' was named; leave it out")
    with prepared(model):
        inputs = as_input(model, images)
        if chosen.uses_layer:
            layer = layer if layer is not None else default_layer(model, inputs)
            find_layer(model, layer)
        asked = Target(target, len(inputs))
        with failures_told(model, inputs, chosen.name):
            check_repeatable(model, inputs)
            answers = [
                _answer(chosen, Question(model, part, which, layer), options, start)
                for start, part, which in _parts(model, inputs, asked)
            ]
            if asked.classes is None and not callable(target):  # a method that never asked for the score
                with torch.no_grad():
                    asked.score(model(inputs.clone()))
        told = "" if layer is None else runs_told(model, layer, inputs)
    maps, attributions = (
        None if each[0] is None else np.concatenate([one for one in each if one is not None])
        for each in zip(*answers, strict=True)
    )
    assert maps is not None
    classes = () if asked.classes is None else tuple(asked.classes.tolist())
    note = "; ".join(filter(None, (_note(maps, chosen), told)))
    return Explanation(chosen.name, maps, classes, layer, chosen.sign, note, attributions, chosen.signed)


def _parts(model: nn.Module, images: Tensor, asked: Target) -> Iterator[tuple[int, Tensor, Target]]:
    """(where it begins, pictures, their targets): as many at once as memory allows."""
    at_once = pictures_at_once(model, images, gradient=True)
    if len(images) <= at_once:
        yield 0, images, asked
        return
    with torch.no_grad():
        logits = torch.cat([model(part.clone()) for part in images.split(at_once)])
        asked.score(logits)
    for start in range(0, len(images), at_once):
        part = images[start : start + at_once]
        yield start, part, asked.of(slice(start, start + len(part)), logits)


def _answer(
    method: Method, question: Question, options: Mapping[str, Any], start: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Maps as float32 in input resolution, and attributions; what is not finite is never shown."""
    with _own_failures_told(method, question):
        given = method(question, options)
    num_pictures, channels, *size = question.images.shape
    expected = (num_pictures, *size)
    if not isinstance(given, Tensor) or given.ndim not in (3, 4) or len(given) != num_pictures:
        came = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise ExplanationError(f"method {method.name} gave {came}; a method gives maps of shape {expected}")
    given = given.detach().float()
    broken = (~torch.isfinite(given)).flatten(1).any(1).nonzero().flatten().tolist()
    if broken:
        raise ExplanationError(
            f"the {method.title} map of picture {start + broken[0]} holds NaN or infinity: weights or activations "
            "overflow; check the network's weights, or run it in float32"
        )
    if given.ndim == 4 and given.shape != (num_pictures, channels, *size):
        raise ExplanationError(
            f"method {method.name} gave {tuple(given.shape)}; attributions are as large as the pictures, "
            f"{(num_pictures, channels, *size)}"
        )
    maps = method.reduce(given) if given.ndim == 4 else given
    if maps.shape != expected:
        maps = F.interpolate(maps[:, None], expected[1:], mode="bilinear", align_corners=False)[:, 0]
    return maps.cpu().numpy(), given.cpu().numpy() if given.ndim == 4 else None


@contextmanager
def _own_failures_told(method: Method, question: Question) -> Iterator[None]:
    """What a user's method raises is its own fault where the network answers these pictures and has a gradient."""
    try:
        yield
    except ConvlensError:
        raise
    except Exception as error:
        if _is_ours(method) or not _runs(question.model, question.images):
            raise
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        raise ExplanationError(
            f"method {method.name} failed: {type(error).__name__}: {reason}; the network itself takes pictures "
            f"{tuple(question.images.shape)}, so look into the method's function"
        ) from error


def _is_ours(method: Method) -> bool:
    return any(inspect.unwrap(method.function) is known.function for known in METHODS.values())


def _runs(model: nn.Module, images: Tensor) -> bool:
    try:
        pixels = images.detach().clone().requires_grad_()
        with torch.enable_grad():
            answers = model(pixels.clone())
            if isinstance(answers, Tensor) and answers.requires_grad:
                torch.autograd.grad(answers.sum(), pixels, allow_unused=True)
    except Exception:
        return False
    return True


def _note(maps: np.ndarray, method: Method) -> str:
    spread = np.ptp(maps, axis=(1, 2))
    flat = [str(i) for i in np.flatnonzero(spread == 0)]
    if not flat:
        return ""
    empty = all(not maps[int(i)].any() for i in flat)
    which = f"{len(flat)} of {len(maps)} maps" if len(maps) > 1 else "the map"
    reason = "nothing speaks for the class" if empty else "there is no location to show"
    return f"{which} ({method.title}) {'are' if len(flat) > 1 else 'is'} the same everywhere: {reason}"


def default_layer(model: nn.Module, images: Tensor) -> str:
    """The last layer with a spatial extent, from the traced graph, unless attention mixes all positions after it."""
    try:
        graph = traced(model, images)
        layer = graph.last_spatial_layer()
    except NetworkError as error:
        raise ExplanationError(f"no layer could be chosen: {error}; or name a layer that gives feature maps") from error
    last = max(call.node for call in graph.finished if call.path == layer and call.node is not None)
    mixing = [node for node in graph.nodes[last + 1 :] if _attends(node)]
    if mixing:
        raise ExplanationError(
            f"no layer could be chosen: after the last feature maps, layer '{layer}', attention mixes all positions "
            f"({mixing[0].op} in '{mixing[0].module}'), so its maps say little of what the network looks at; use "
            f"saliency or occlusion, or name the layer if it is wanted"
        )
    return layer


def _attends(node: Node) -> bool:
    """Attention, fused or written out as a softmax over positions."""
    fused = "attention" in node.op or "transformer" in node.op
    return fused or (node.op in ("_softmax", "_safe_softmax") and len(node.output_shape) > 2)
