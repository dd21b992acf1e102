"""Fine-tuning begins with the head: the new classifier is fitted to the features of the body as it came.

A softmax regression on at most 2,000 pictures, which takes one forward pass and a second of L-BFGS; an epoch of steps
on the head alone takes as long as the pass and ends short of the optimum.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.data import Batches, permutation, plain_view
from convlens.pictures import Preprocess
from convlens.training.precision import Choice
from convlens.training.validation import inference_batch

Progress = Callable[[str, int, int, str], None]

AT_MOST = 2000  # pictures
SHARE = 0.25  # of a budget, after which no further picture is looked at
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
    """Fit the Linear layer at `path`, in place, to the pictures of `batches`, cropped to the middle.

    `until` is a time.monotonic() reading after which the pictures seen so far must do. False, and nothing changed,
    where the layer is no Linear one.
    """
    layer = network.get_submodule(path)
    if not isinstance(layer, nn.Linear):
        return False
    order = torch.from_numpy(permutation(batches.seed, 0, len(batches.labels)))[:AT_MOST]
    pixels = batches.pixels[order]
    features = features_of(
        network, layer, pixels, preprocess=batches.preprocess, choice=choice, until=until, progress=progress
    )
    weight, bias = softmax_regression(features, batches.labels[order][: len(features)], layer.out_features)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if layer.bias is not None:
            layer.bias.copy_(bias)
    return True


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
    """What reaches `layer` in eval mode: (n, F) float32 on the CPU, of the first n pictures that time allowed."""
    device = next(network.parameters()).device
    modes = {module: module.training for module in network.modules()}
    rows: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: rows.append(inputs[0].float().cpu()))
    batch = inference_batch(preprocess.size)
    try:
        network.eval()
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
        for module, mode in modes.items():
            module.training = mode
    return torch.cat(rows)


def softmax_regression(features: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """(n, F), (n,) -> (K, F) weight and (K,) bias of the regularised optimum, label smoothing 0.1."""
    mean, std = features.mean(0), features.std(0, correction=0).clamp(min=1e-6)
    inputs = (features - mean) / std
    weight = torch.zeros(num_classes, features.shape[1], requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> float:
        solver.zero_grad()
        loss = F.cross_entropy(inputs @ weight.T + bias, labels, label_smoothing=0.1) + DECAY * weight.square().sum()
        loss.backward()
        return float(loss.detach())

    solver.step(closure)
    with torch.no_grad():
        scaled = weight / std
        return scaled, bias - scaled @ mean
