"""Fine-tuning begins with the head: the new classifier is fitted to the features of the body as it came.

A softmax regression on at most 2,000 pictures, which takes one forward pass and a second of L-BFGS; an epoch of steps
on the head alone takes as long as the pass and ends short of the optimum.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.data import Batches, permutation, plain_view
from convlens.graph import evaluating
from convlens.pictures import Preprocess
from convlens.training.precision import Choice
from convlens.training.validation import inference_batch, logits_of

Progress = Callable[[str, int, int, str], None]

AT_MOST = 2000  # pictures
SHARE = 0.25  # of a budget, after which no further picture is looked at
TRIED = 64  # pictures on which it is seen that the logits are what was fitted
CUT = 0.02  # of what a convolution gives may be cut off by a ReLU
SLACK = 0.02  # of their variance, which bf16 and a ReLU may take
DECAY = 1e-3  # of the weights, on features of variance 1


def fit_classifier(
    network: nn.Module,
    path: str,
    batches: Batches,
    choice: Choice,
    *,
    until: float | None = None,
    progress: Progress | None = None,
) -> bool:
    """Fit the layer at `path`, in place, to the pictures of `batches`, cropped to the middle.

    It is a Linear layer, or a convolution of 1 x 1 whose maps are averaged, and the logits are what it gives, times a
    number at most. False, and nothing changed, where that is not so. `until` is a time.monotonic() reading after which
    the pictures seen so far must do.
    """
    layer = network.get_submodule(path)
    if not _is_pointwise(layer):
        return False
    order = torch.from_numpy(permutation(batches.seed, 0, len(batches.labels)))[:AT_MOST]
    pixels, preprocess = batches.pixels[order], batches.preprocess
    features = features_of(network, layer, pixels, preprocess=preprocess, choice=choice, until=until, progress=progress)
    labels, has_bias = batches.labels[order][: len(features)], layer.bias is not None
    weight, bias = softmax_regression(features, labels, len(layer.weight), has_bias=has_bias)
    before = [parameter.detach().clone() for parameter in layer.parameters()]
    _put(layer, weight, bias)
    view = plain_view(pixels[: min(TRIED, len(features))], preprocess.size)
    logits, lowest = _logits_and_lowest(network, layer, view, preprocess, choice)
    if isinstance(layer, nn.Conv2d) and has_bias and lowest < 0:  # SqueezeNet's ReLU behind it would cut these off
        bias = bias - lowest
        _put(layer, weight, bias)
        logits, _ = _logits_and_lowest(network, layer, view, preprocess, choice)
    factor = _factor(logits, features[: len(view)] @ weight.T + bias)
    if factor is None:
        _put(layer, *before)
        return False
    if abs(factor - 1) > SLACK:
        _put(layer, weight / factor, bias / factor)
    return True


def _is_pointwise(layer: nn.Module) -> TypeGuard[nn.Linear | nn.Conv2d]:
    if isinstance(layer, nn.Conv2d):
        return layer.kernel_size == (1, 1) and layer.groups == 1
    return isinstance(layer, nn.Linear)


@torch.no_grad()
def _put(layer: nn.Linear | nn.Conv2d, weight: Tensor, bias: Tensor | None = None) -> None:
    layer.weight.copy_(weight.view_as(layer.weight))
    if layer.bias is not None and bias is not None:
        layer.bias.copy_(bias)


def _logits_and_lowest(
    network: nn.Module, layer: nn.Module, pixels: Tensor, preprocess: Preprocess, choice: Choice
) -> tuple[Tensor, float]:
    """(n, K) of the network, and a number below nearly all that `layer` gives anywhere."""
    found: list[float] = []

    def look(_: nn.Module, inputs: Any, output: Tensor) -> None:
        found.append(float(output.float().flatten().kthvalue(1 + int(CUT * output.numel()))[0]))

    hook = layer.register_forward_hook(look)
    try:
        device = next(network.parameters()).device
        return logits_of(network, pixels, preprocess, choice, device=device), min(found)
    finally:
        hook.remove()


def _factor(logits: Tensor, fitted: Tensor) -> float | None:
    """By what the network multiplies what was fitted, whatever it adds to all; None where it does something else."""
    if logits.shape != fitted.shape:
        return None
    came, meant = (rows - rows.mean(1, keepdim=True) for rows in (logits, fitted))
    factor = float((came * meant).sum() / meant.square().sum().clamp(min=1e-12))
    rest = float((came - factor * meant).square().sum() / came.square().sum().clamp(min=1e-12))
    return factor if factor > 0 and rest < SLACK else None


@torch.no_grad()
def features_of(
    network: nn.Module,
    layer: nn.Module,
    pixels: Tensor,
    *,
    preprocess: Preprocess,
    choice: Choice,
    until: float | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """What reaches `layer` in eval mode: (n, F) float32 on the CPU, of the first n pictures that time allowed.

    Of maps, (n, F, H, W), their means.
    """
    device = next(network.parameters()).device
    rows: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: rows.append(_averaged(inputs[0].float()).cpu()))
    batch = inference_batch(preprocess.size)
    try:
        with evaluating(network):
            for start in range(0, len(pixels), batch):
                images = preprocess.normalise(plain_view(pixels[start : start + batch], preprocess.size))
                with choice.autocast(device):
                    network(images.to(device).contiguous(memory_format=choice.memory_format))
                if progress:
                    progress("features", min(start + batch, len(pixels)), len(pixels), "")
                if until is not None and time.monotonic() > until:
                    break
    finally:
        hook.remove()
    return torch.cat(rows)


def _averaged(inputs: Tensor) -> Tensor:
    return inputs.mean((2, 3)) if inputs.ndim == 4 else inputs


def softmax_regression(
    features: Tensor, labels: Tensor, num_classes: int, *, has_bias: bool = True
) -> tuple[Tensor, Tensor]:
    """(n, F), (n,) -> (K, F) weight and (K,) bias of the regularised optimum, label smoothing 0.1.

    Without a bias it is 0, and the features are not centred.
    """
    mean, std = features.mean(0) * has_bias, features.std(0, correction=0).clamp(min=1e-6)
    inputs = (features - mean) / std
    weight = torch.zeros(num_classes, features.shape[1], requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=has_bias)
    solver = torch.optim.LBFGS([weight, bias] if has_bias else [weight], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> float:
        solver.zero_grad()
        loss = F.cross_entropy(inputs @ weight.T + bias, labels, label_smoothing=0.1) + DECAY * weight.square().sum()
        loss.backward()
        return float(loss.detach())

    solver.step(closure)
    with torch.no_grad():
        scaled = weight / std
        return scaled, bias - scaled @ mean
