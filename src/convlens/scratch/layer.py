"""What every layer is: a function, and the rule by which blame goes back through it.

Write y = f(x; w) for the layer and E for the error of the whole network. The **delta** of an array is the gradient of E
by it: delta_y = dE/dy has the shape of y. Back-propagation is the chain rule, one layer at a time:

    delta_x = (dy/dx)' delta_y        what `backward` returns: the delta of the layer before
    dE/dw   = (dy/dw)' delta_y        what `backward` leaves in `gradients`

A layer remembers from its last `forward` what these two products need. It knows nothing of the layers around it, of
the error, or of a learning rate: an optimiser takes `parameters` and `gradients` and makes the step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from convlens.errors import UsageError, check_count


class Layer(ABC):
    """`parameters` are trained, `buffers` are not but belong to the state; both have torch's names and shapes.

    Weights are zero until `draw` gives them random values, which a Network does.
    """

    precision: np.dtype | None = None  # that of the network that it is in

    def __init__(self) -> None:
        self.parameters: dict[str, np.ndarray] = {}
        self.gradients: dict[str, np.ndarray] = {}
        self.buffers: dict[str, np.ndarray] = {}

    @abstractmethod
    def forward(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        """x -> y; `training` matters to dropout and batch normalisation alone."""

    @abstractmethod
    def backward(self, delta: np.ndarray) -> np.ndarray:
        """delta_y -> delta_x, for the x of the last `forward`; the gradients of the weights are left in `gradients`."""

    def draw(self, random: np.random.Generator) -> None:  # noqa: B027, for most layers have no weights
        """Give the weights their first values."""

    def cast(self, dtype: np.dtype) -> None:
        """Keep weights and statistics in this precision."""
        for arrays in (self.parameters, self.buffers):
            for name, array in arrays.items():
                if array.dtype.kind == "f":
                    arrays[name] = array.astype(dtype)

    @property
    def kind(self) -> str:
        return type(self).__name__

    def check_maps(self, x: np.ndarray, channels: int | None = None) -> None:
        """UsageError unless x is (C, H, W, N) of floating numbers, with this C where it is given."""
        check_floats(self.kind, x)
        if x.ndim != 4 or (channels is not None and x.shape[0] != channels):
            expected = f"({'C' if channels is None else channels}, H, W, N)"
            raise UsageError(
                f"{self.kind} got an array of shape {x.shape}, expected {expected}: inside a network the batch is the "
                "last axis; check the layer before"
            )

    def check_delta(self, delta: np.ndarray, shape: tuple[int, ...] | None) -> None:
        """UsageError unless forward gave an output of this shape, and delta has it too."""
        if shape is None:
            raise UsageError(f"{self.kind}.backward was called before forward; call forward first")
        if delta.shape != shape:
            raise UsageError(f"{self.kind}.backward got a delta of shape {delta.shape}, expected that of y, {shape}")


def check_floats(what: str, x: np.ndarray) -> None:
    """UsageError unless x is an array of floating numbers: whole ones wrap round, and others fail later."""
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        came = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
        raise UsageError(f"{what} got {came}, expected one of floating numbers; convert it by np.asarray(x, float)")


def is_finite(array: np.ndarray, dtype: np.dtype) -> bool:
    """Whether it holds real numbers that are finite in this precision too."""
    if array.dtype.kind != "f" or not array.size:
        return array.dtype.kind in "biuf"
    most = np.finfo(dtype).max if dtype.kind == "f" else np.inf
    return bool(-most <= array.min() and array.max() <= most)  # NaN is neither


def he_normal(random: np.random.Generator, weight: np.ndarray) -> np.ndarray:
    """Values with the variance 2 / fan-in, which keeps that of the signal through ReLU (He et al. 2015)."""
    fan_in = weight[0].size
    return (random.standard_normal(weight.shape) * np.sqrt(2 / fan_in)).astype(weight.dtype)


def pair(name: str, value: object, least: int = 1) -> tuple[int, int]:
    """3 -> (3, 3); (3, 5) stays."""
    if isinstance(value, tuple | list) and len(value) == 2:
        return check_count(name, value[0], least), check_count(name, value[1], least)
    if isinstance(value, tuple | list):
        raise UsageError(f"{name} is {value!r}, expected one number or two, (height, width)")
    number = check_count(name, value, least)
    return number, number
