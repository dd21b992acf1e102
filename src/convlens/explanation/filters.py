"""The filters of a convolution as pictures: what its weights look for.

K filters, each of C kernels of kh x kw. Mid grey (or the neutral colour) is zero; every filter has a scale of its
own, so that a weak one can be seen as well as a strong one: its norm stands below it, or below the first of its row.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from convlens.errors import ExplanationError
from convlens.explanation.preparation import find_layer, network_with_values

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Filters:
    """The kernels of one convolution.

    `kernels` is float32 (K, P, kh, kw, 3|1): a layer that sees three channels has P = 1 plane in colour; any other
    has one grey plane for each input channel, strongest first. `inputs` (K, P) names the input channel of each plane.
    """

    layer: str
    kernels: np.ndarray
    inputs: np.ndarray

    @property
    def norms(self) -> np.ndarray:
        """(K,) the Euclidean norm of each filter."""
        return np.sqrt((self.kernels**2).sum((1, 2, 3, 4)))

    @property
    def colour(self) -> bool:
        return self.kernels.shape[-1] == 3


def filters(model: nn.Module, layer: str | None = None) -> Filters:
    """The filters of `layer`, by default of the first convolution."""
    model = network_with_values(model)
    name, convolution = _convolution(model, layer)
    weight = convolution.weight.detach().float().cpu().numpy()  # (K, C / groups, kh, kw)
    if weight.shape[1] == 3 and convolution.groups == 1 and name == _convolution(model, None)[0]:  # sees colours
        kernels = weight.transpose(0, 2, 3, 1)[:, None]
        return Filters(name, kernels, np.zeros((len(weight), 1), np.int64))
    order = np.argsort(-np.sqrt((weight**2).sum((2, 3))), axis=1, kind="stable")
    kernels = np.take_along_axis(weight, order[:, :, None, None], axis=1)[..., None]
    first = np.arange(len(weight)) // (len(weight) // convolution.groups) * weight.shape[1]  # of the filter's group
    return Filters(name, kernels, order + first[:, None])


def _convolution(model: nn.Module, layer: str | None) -> tuple[str, nn.Conv2d]:
    if layer is None:
        found = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
        if not found:
            raise ExplanationError("this network has no 2-D convolution, so it has no filters; use method saliency")
        return found[0]
    module = find_layer(model, layer)
    if not isinstance(module, nn.Conv2d):
        inside = [f"{layer}.{name}" for name, child in module.named_modules() if isinstance(child, nn.Conv2d)]
        hint = f"; inside it are {', '.join(inside[:4])}" if inside else ""
        raise ExplanationError(f"layer '{layer}' is a {type(module).__name__}, not a Conv2d with filters{hint}")
    return layer, module


def shades(kernels: np.ndarray) -> np.ndarray:
    """(P, kh, kw, 3|1) of one filter -> uint8 of the same shape: zero is 128, the largest magnitude 1 or 255."""
    top = np.abs(kernels).max()
    return np.rint(128 + 127 * kernels / (top if top > 0 else 1)).astype(np.uint8)


def filters_picture(
    model: nn.Module, layer: str | None = None, *, max_filters: int = 64, max_inputs: int = 12, tile: int = 64
) -> Image.Image:
    """A contact sheet: one tile a filter; with several grey planes, one row a filter, strongest filters first."""
    from convlens.pictures import contact_sheet

    found = filters(model, layer)
    num_filters, num_inputs = found.kernels.shape[:2]
    planes = min(num_inputs, max_inputs)
    chosen = np.arange(min(num_filters, max_filters))
    if planes > 1:  # a row each: too many to show, so the strongest
        chosen = np.argsort(-found.norms, kind="stable")[: max(1, max_filters // planes)]
    tiles, labels = [], []
    for k in chosen:
        for p, picture in enumerate(shades(found.kernels[k])[:planes]):
            tiles.append(picture if found.colour else picture[:, :, 0])
            norm = f" · {found.norms[k]:.3g}" if p == 0 else ""  # of the filter, before its strongest input
            labels.append(f"{k}\n{found.norms[k]:.3g}" if planes == 1 else f"{k}{norm}\nfrom {found.inputs[k, p]}")
    columns = planes if planes > 1 else full_columns(len(tiles))
    return contact_sheet(tiles, labels=labels, columns=columns, tile=tile, title=_title(found, len(chosen), planes))


def _title(found: Filters, drawn: int, planes: int) -> str:
    num_filters, num_inputs, height, width = found.kernels.shape[:4]
    which = f"the {drawn} strongest of" if planes > 1 else f"the first {drawn} of"
    some = f"{which} " if drawn < num_filters else ""
    inputs = f", of each the {planes} strongest of {num_inputs} inputs" if planes < num_inputs else ""
    return f"{found.layer}: {some}{num_filters} filters {height}x{width}{inputs}"  # the font of the sheets has no ×


def full_columns(num_tiles: int) -> int:
    """A number of columns near 1.25 times that of the rows which leaves no short last row, if there is one."""
    best = round((1.25 * num_tiles) ** 0.5)
    near = [n for n in range(ceil(0.75 * best), floor(1.6 * best) + 1) if num_tiles % n == 0]
    return min(near, key=lambda n: (abs(n - best), -n)) if near else best
