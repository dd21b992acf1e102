"""A network in float32 that rounds as its 8-bit version does, and learns in spite of it.

Jacob et al., 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
https://arxiv.org/abs/1712.05877: weights are int8 with a scale for each output channel and no offset, -127 to 127; the
input of a layer is uint8 with one scale and an offset, the zero point. Gradients pass a rounding as if it were none,
and stop where a value is clipped: the straight-through estimator (Bengio, Léonard and Courville, 2013,
https://arxiv.org/abs/1308.3432).
Departures: the paper folds batch norms into the weights first; a scale for each output channel makes that the same, as
the norm only multiplies the channel. Biases stay float32; in an int8 file they have 32 bits.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from convlens.errors import NetworkError
from convlens.layers.computed_weights import MULTIPLYING, check_copyable, check_stored_weights

WEIGHT_LEVELS, INPUT_LEVELS = 127, 255
LEAST = 1e-12  # of a scale: of a channel of zeros
KINDS: dict[type[nn.Module], type[nn.Module]] = {}  # layer -> the one that rounds


@dataclass(frozen=True)
class InputScale:
    """value = step * (level - zero_point), the level being 0 to 255."""

    step: float
    zero_point: int

    @classmethod
    def of_range(cls, low: float, high: float) -> InputScale:
        """Of all values from low to high, and 0, which must be exact: paddings are zeros."""
        low, high = min(low, 0.0), max(high, 0.0)
        step = max((high - low) / INPUT_LEVELS, LEAST)
        return cls(step, round(-low / step))

    @property
    def range(self) -> tuple[float, float]:
        return -self.zero_point * self.step, (INPUT_LEVELS - self.zero_point) * self.step


class Rounding(nn.Module):
    """Before a layer in its bases. `weight` is the rounded one; the float one is kept, learns and is saved."""

    input_scale: InputScale

    @property
    def weight(self) -> Tensor:
        weight = self._parameters["weight"]
        assert weight is not None
        return rounded_weight(weight)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(rounded_input(x, self.input_scale))  # the layer's


def rounded_weight(weight: Tensor) -> Tensor:
    """(K, …) -> (K, …)."""
    largest = weight.detach().abs().amax(dim=tuple(range(1, weight.dim())), keepdim=True)
    step = (largest / WEIGHT_LEVELS).clamp_min(LEAST)
    return weight + (step * (weight / step).round() - weight).detach()


def rounded_input(x: Tensor, scale: InputScale) -> Tensor:
    """The same shape, clipped to the range of the scale."""
    clipped = x.clamp(*scale.range)
    return clipped + (scale.step * (clipped / scale.step).round() - clipped).detach()


def fake_quantised(network: nn.Module, inputs: Mapping[str, InputScale]) -> nn.Module:
    """A copy in which these layers, by path, round their weights and inputs. Its state_dict is the float network's.

    NetworkError for a path that is no convolution or dense layer, or one that computes its weight.
    """
    check_stored_weights(network, "rounded", inputs)
    made = float_network(network)
    for path, scale in inputs.items():
        layer = dict(made.named_modules()).get(path)
        if not isinstance(layer, MULTIPLYING):
            kind = "nothing" if layer is None else type(layer).__name__
            raise NetworkError(
                f"the scale of '{path}' fits no layer: {kind} stands there in {type(network).__name__}; expected a "
                "convolution or a dense layer"
            )
        _round(layer, scale)
    return made


def _round(layer: Any, scale: InputScale) -> None:
    layer.__class__ = _rounding(type(layer))
    layer.input_scale = scale


def input_scales(network: nn.Module) -> dict[str, InputScale]:
    """Those of a fake-quantised network; none in any other."""
    return {path: layer.input_scale for path, layer in network.named_modules() if isinstance(layer, Rounding)}


def check_unrounded(network: nn.Module, verb: str) -> None:
    """NetworkError for a fake-quantised network, whose weights are what it computes of others."""
    if input_scales(network):
        raise NetworkError(
            f"{type(network).__name__} rounds to 8 bits, and so cannot be {verb}; do that to the float network, "
            "float_network(network), and quantise what comes of it"
        )


def float_network(network: nn.Module) -> nn.Module:
    """A copy that does not round. NetworkError where torch cannot copy it."""
    check_copyable(network)
    made = copy.deepcopy(network)
    for layer in made.modules():
        if isinstance(layer, Rounding):
            layer.__class__ = type(layer).__mro__[2]
            del layer.input_scale
    return made


def unrounded(network: nn.Module) -> nn.Module:
    """What to count operations of: a rounding is none. The network itself where nothing rounds."""
    return float_network(network) if input_scales(network) else network


def scales_to_json(scales: Mapping[str, InputScale]) -> dict[str, Any]:
    return {path: [scale.step, scale.zero_point] for path, scale in scales.items()}


def scales_from_json(values: Mapping[str, Any]) -> dict[str, InputScale]:
    """NetworkError where these are no scales."""
    try:
        scales = {path: InputScale(float(step), int(zero_point)) for path, (step, zero_point) in values.items()}
    except (TypeError, ValueError) as error:
        raise NetworkError(f"scales are pairs of a step and a zero point by layer ({error})") from error
    if wrong := [path for path, s in scales.items() if not (0 < s.step < float("inf") and 0 <= s.zero_point <= 255)]:
        raise NetworkError(f"the scale of '{wrong[0]}' is {scales[wrong[0]]}; expected a step above 0 and 0 to 255")
    return scales


def _rounding(kind: type[nn.Module]) -> type[nn.Module]:
    """The same class for every layer of a kind."""
    if kind not in KINDS:
        KINDS[kind] = type(f"FakeQuantised{kind.__name__}", (Rounding, kind), {})
    return KINDS[kind]
