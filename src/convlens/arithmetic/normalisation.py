"""Normalisation: (x − mean) / √(variance + ε) · weight + bias.

Batch norm in use has the mean and variance of its channel stored. Instance, group and layer norm take those of the
picture itself: of a channel, of a group of channels, of the last dimensions.
"""

from __future__ import annotations

from math import prod

import numpy as np

from convlens.arithmetic.asked import Asked, Read, float64, rule
from convlens.arithmetic.steps import NumbersStep, Step

FORMULA = "(x − mean) / √(variance + ε) · weight + bias"
Numbers = dict[str, float]


@rule(
    "native_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "_native_batch_norm_legit_functional",
    "cudnn_batch_norm",
    "batch_norm",
)
def batch_norm(asked: Asked) -> Step:
    x, channel = asked.must("input"), asked.index[1]
    mean, variance = asked.read("running_mean"), asked.read("running_var")
    if mean is None or variance is None or asked.plain("training", False):
        values = float64(x.tensor[:, channel])
        return _step(asked, x, f"batch norm over its own {values.size} numbers", _statistics(values), (channel,))
    stored = {"mean": mean.number((channel,)), "variance": variance.number((channel,))}
    return _step(asked, x, "batch norm, stored mean and variance", stored, (channel,))


@rule("native_group_norm")
def group_norm(asked: Asked) -> Step:
    x, channel = asked.must("input"), asked.index[1]
    per_group = x.shape[1] // asked.plain("group")
    first = channel // per_group * per_group
    values = float64(x.tensor[asked.index[0], first : first + per_group])
    title = f"group norm over {per_group} channels, {values.size} numbers"
    return _step(asked, x, title, _statistics(values), (channel,))


@rule("native_layer_norm")
def layer_norm(asked: Asked) -> Step:
    x, rank = asked.must("input"), len(asked.plain("normalized_shape"))
    values = float64(x.tensor[asked.index[: len(asked.index) - rank]])
    return _step(asked, x, f"layer norm over {values.size} numbers", _statistics(values), asked.index[-rank:])


@rule("_fused_rms_norm")
def rms_norm(asked: Asked) -> Step:
    x, rank = asked.must("input"), len(asked.plain("normalized_shape"))
    values = float64(x.tensor[asked.index[: len(asked.index) - rank]])
    square = float((values**2).mean())
    weight = asked.read("weight")
    epsilon = float(asked.plain("eps", np.finfo(np.float32).eps))
    numbers = {"x": x.number(asked.index), "mean square": square, "epsilon": epsilon}
    numbers["weight"] = 1.0 if weight is None else weight.number(asked.index[-rank:])
    computed = numbers["x"] / np.sqrt(square + epsilon) * numbers["weight"]
    return NumbersStep(
        op="normalisation",
        title=f"RMS norm over {values.size} numbers",
        formula="x / √(mean square + ε) · weight",
        numbers=numbers,
        computed=float(computed),
        **asked.own,
    )


def _statistics(values: np.ndarray) -> Numbers:
    return {"mean": float(values.mean()), "variance": float(values.var()), "count": float(prod(values.shape))}


def _step(asked: Asked, x: Read, title: str, statistics: Numbers, at: tuple[int, ...]) -> Step:
    def of(name: str, otherwise: float) -> float:
        read = asked.read(name)
        return otherwise if read is None else read.number(at)

    epsilon = float(asked.plain("eps", asked.plain("epsilon", 1e-5)))
    numbers = {"x": x.number(asked.index), **statistics, "epsilon": epsilon}
    numbers |= {"weight": of("weight", 1.0), "bias": of("bias", 0.0)}
    return NumbersStep(
        op="normalisation", title=title, formula=FORMULA, numbers=numbers, computed=normalised(numbers), **asked.own
    )


def normalised(numbers: Numbers) -> float:
    scaled = (numbers["x"] - numbers["mean"]) / np.sqrt(numbers["variance"] + numbers["epsilon"])
    return float(scaled * numbers["weight"] + numbers["bias"])
