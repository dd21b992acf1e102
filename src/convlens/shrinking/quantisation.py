"""A network that computes in 8 bits: scales from real pictures, and training in spite of the rounding.

`quantise` gives the fake-quantised network of `layers/fake_quantised.py`; `exporting.int8_bytes` makes the file that
ONNX Runtime runs, of the same scales.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlens.errors import DataError, NetworkError, UsageError
from convlens.exporting.calibration import BINS, METHODS, Histogram
from convlens.exporting.quiet import reason
from convlens.layers.computed_weights import MULTIPLYING, check_stored_weights
from convlens.layers.fake_quantised import InputScale, fake_quantised, float_network
from convlens.shrinking.tuning import Batches, tune


def quantise(
    network: nn.Module, calibration: Sequence[Tensor], *, validation: Tensor | None = None, method: str = "auto"
) -> nn.Module:
    """A copy that rounds to 8 bits; its scales come from batches of prepared training pictures.

    `method` is minmax, entropy, percentile (`exporting/calibration.py`), or auto: the one whose probabilities diverge
    least from the float network's on `validation`, else on the last calibration batch, which then calibrates nothing.
    UsageError for another method, DataError without a picture or for NaN in one, NetworkError where a layer computes
    its weights.
    """
    if method not in ("auto", *METHODS):
        raise UsageError(f"the calibration method is {method!r}; expected auto, {', '.join(METHODS)}")
    check_stored_weights(network, "rounded")
    plain = float_network(network).eval()
    batches = [batch for batch in calibration if len(batch)]
    if not batches:
        raise DataError("no calibration pictures came; expected batches (N, C, H, W), prepared as for training")
    _check_pictures(batches, "calibration")
    _check_pictures([] if validation is None else [validation], "validation")
    if method == "auto" and validation is None:
        validation = batches[-1]
        batches = batches[:-1] or batches
    found = input_histograms(plain, batches)
    if method != "auto":
        return fake_quantised(plain, _scales(found, method))
    assert validation is not None
    made = {name: fake_quantised(plain, _scales(found, name)) for name in METHODS}
    return min(made.values(), key=lambda rounding: divergence(plain, rounding, validation))


def _check_pictures(batches: Sequence[Tensor], what: str) -> None:
    if wrong := [batch for batch in batches if not isinstance(batch, Tensor) or batch.ndim != 4]:
        came = f"a tensor of {tuple(wrong[0].shape)}" if isinstance(wrong[0], Tensor) else type(wrong[0]).__name__
        raise DataError(
            f"{came} came as {what} pictures; expected batches (N, C, H, W), tensors, prepared as for training"
        )
    bad = sum(int((~batch.isfinite()).flatten(1).any(1).sum()) for batch in batches)
    if bad:
        raise DataError(
            f"{bad} of {sum(map(len, batches))} {what} pictures hold NaN or infinity; expected batches (N, C, H, W), "
            "prepared as for training"
        )


def train_quantised(network: nn.Module, batches: Batches, *, epochs: int = 1, learning_rate: float = 1e-5) -> nn.Module:
    """A copy of a fake-quantised network after these epochs of `tune`; its scales of inputs stay."""
    trained = copy.deepcopy(network)
    tune(trained, batches, epochs=epochs, learning_rate=learning_rate)
    return trained


def divergence(network: nn.Module, other: nn.Module, images: Tensor) -> float:
    """Kullback and Leibler's, of the other's probabilities from the network's, a mean over the pictures in nats."""
    with torch.inference_mode():
        one, two = (model(images).double().log_softmax(1) for model in (network, other))
    return float((one.exp() * (one - two)).sum(1).mean())


def input_histograms(network: nn.Module, batches: Sequence[Tensor]) -> dict[str, Histogram]:
    """What goes into each convolution and dense layer that runs, by its path."""
    found: dict[str, Histogram] = {}

    def reach(path: str, values: np.ndarray) -> None:
        seen = found.setdefault(path, Histogram(np.inf, -np.inf, np.zeros(2 * BINS, dtype=np.int64)))
        seen.lowest = min(seen.lowest, float(values.min()))
        seen.highest = max(seen.highest, float(values.max()))

    for look in (reach, lambda path, values: found[path].add(values)):
        with _watched(network, look), torch.inference_mode():
            for images in batches:
                _answer(network, images)
    return found


def _answer(network: nn.Module, images: Tensor) -> None:
    try:
        network(images)
    except NetworkError:
        raise
    except Exception as error:
        raise DataError(
            f"{type(network).__name__} cannot run on calibration pictures of {tuple(images.shape)} of {images.dtype}: "
            f"{reason(error)}; expected batches (N, C, H, W), prepared as for training"
        ) from error


@contextmanager
def _watched(network: nn.Module, look: Callable[[str, np.ndarray], None]) -> Iterator[None]:
    def watch(path: str, layer: nn.Module) -> Any:
        def seen(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            if len(inputs) != 1 or named:
                raise NetworkError(
                    f"'{path}' of {type(network).__name__} is called with more than a tensor, or by keyword, and "
                    "cannot be rounded; call it as layer(x)"
                )
            look(path, inputs[0].float().cpu().numpy())

        return layer.register_forward_pre_hook(seen, with_kwargs=True)

    layers = [(path, layer) for path, layer in network.named_modules() if isinstance(layer, MULTIPLYING)]
    hooks = [watch(path, layer) for path, layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _scales(found: dict[str, Histogram], method: str) -> dict[str, InputScale]:
    return {path: InputScale.of_range(*METHODS[method](seen)) for path, seen in found.items()}
