"""`explain`: the one verb for all methods. It prepares the network, asks the method and restores everything."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convlens.errors import ExplanationError, NetworkError, UsageError
from convlens.explanation.methods import Method, find_method
from convlens.explanation.preparation import as_input, find_layer, prepared
from convlens.explanation.question import Question, Target, TargetLike


@dataclass(frozen=True)
class Explanation:
    """What one method answered for N pictures.

    `maps` are raw values, float32 (N, H, W) in the resolution of the input; `sign` says how to read them. `targets` has
    one class a picture and is empty for a target function; `note` holds what the reader of the maps must know.
    """

    method: str
    maps: np.ndarray
    targets: tuple[int, ...]
    layer: str | None
    sign: str
    note: str = ""

    def heat(self, *, clip: float = 0.995) -> np.ndarray:
        """(N, H, W) in 0..1 for pictures: 0 stays 0, the `clip` quantile of each map's magnitude becomes 1."""
        magnitude = np.abs(self.maps)
        top = np.quantile(magnitude, clip, axis=(1, 2), keepdims=True)
        top = np.where(top > 0, top, magnitude.max(axis=(1, 2), keepdims=True))
        scaled = np.divide(magnitude, top, out=np.zeros_like(magnitude), where=top > 0)
        return np.clip(scaled, 0, 1).astype(np.float32)


def explain(
    model: nn.Module,
    images: Tensor,
    target: TargetLike = None,
    *,
    method: str | Method = "grad_cam",
    layer: str | None = None,
) -> Explanation:
    """(N, C, H, W) preprocessed pictures -> one map (H, W) a picture, and what it is of.

    `target` is None for the predicted class, a class, one class a picture, or a function of the logits, (N, K) -> (N,).
    `layer` is a module's dotted path; by default the last that still has a spatial extent.
    Works in any mode, with frozen weights, and under no_grad; the network is given back as it was, even after an error.
    """
    chosen = find_method(method)
    if layer is not None and not chosen.uses_layer:
        raise UsageError(f"method {chosen.name} looks at no layer, but layer '{layer}' was named; leave it out")
    with prepared(model):
        inputs = as_input(model, images)
        if chosen.uses_layer:
            layer = layer if layer is not None else default_layer(model, inputs)
            find_layer(model, layer)
        asked = Target(target, len(inputs))
        maps = _checked(chosen(Question(model, inputs, asked, layer)), chosen, inputs)
    classes = () if asked.classes is None else tuple(asked.classes.tolist())
    return Explanation(chosen.name, maps, classes, layer, chosen.sign, _note(maps, chosen))


def _checked(maps: Tensor, method: Method, images: Tensor) -> np.ndarray:
    """Maps as float32 in input resolution; a map that is not finite is never shown."""
    expected = (len(images), *images.shape[2:])
    if not isinstance(maps, Tensor) or maps.ndim != 3 or len(maps) != len(images):
        came = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise ExplanationError(f"method {method.name} gave {came}; a method gives maps of shape {expected}")
    maps = maps.detach().float()
    if maps.shape != expected:
        maps = F.interpolate(maps[:, None], expected[1:], mode="bilinear", align_corners=False)[:, 0]
    broken = (~torch.isfinite(maps)).flatten(1).any(1).nonzero().flatten().tolist()
    if broken:
        raise ExplanationError(
            f"the {method.title} map of picture {broken[0]} holds NaN or infinity: weights or activations overflow; "
            "check the network's weights, or run it in float32"
        )
    return maps.cpu().numpy()


def _note(maps: np.ndarray, method: Method) -> str:
    spread = np.ptp(maps, axis=(1, 2))
    flat = [str(i) for i in np.flatnonzero(spread == 0)]
    if not flat:
        return ""
    empty = all(not maps[int(i)].any() for i in flat)
    which = f"{len(flat)} of {len(maps)} maps" if len(maps) > 1 else "the map"
    reason = "nothing speaks for the class" if empty else "there is no location to show"
    return f"{which} ({method.title}) {'are' if len(flat) > 1 else 'is'} the same everywhere: {reason}"


_LAYERS: WeakKeyDictionary[nn.Module, dict[object, str]] = WeakKeyDictionary()


def default_layer(model: nn.Module, images: Tensor) -> str:
    """The last layer with a spatial extent, from the traced graph; remembered while the modules stay the same."""
    from convlens.graph import trace

    key = (tuple(images.shape[1:]), tuple((name, type(module)) for name, module in model.named_modules()))
    known = _LAYERS.setdefault(model, {})
    if key not in known:
        try:
            known[key] = trace(model, images[:1]).last_spatial_layer()
        except NetworkError as error:
            raise ExplanationError(
                f"no layer could be chosen: {error}; or name a layer that gives feature maps"
            ) from error
    return known[key]
