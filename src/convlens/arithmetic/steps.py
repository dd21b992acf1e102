"""The steps of a sum. Each has the network's own `value`, and `computed`: what the numbers that it shows give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from convlens.arithmetic.places import Place, Window

AGREES = 1e-4  # of the larger of 1 and the value


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """`op` is the kind of operation, `title` says it in words, `formula` is what is computed of the step's numbers.

    `node` and `layer` are whose value it is. `computed` is None where no rule is known.
    """

    op: str
    title: str
    formula: str
    node: int
    layer: str
    value: float
    computed: float | None

    @property
    def agrees(self) -> bool:
        """Do the numbers shown give the network's own value?"""
        if self.computed is None:
            return False
        same = self.computed == self.value or (np.isnan(self.computed) and np.isnan(self.value))
        return bool(same or abs(self.computed - self.value) <= AGREES * max(1.0, abs(self.value)))

    def to_dict(self) -> dict[str, Any]:
        """Numbers, lists and dicts; what a step does not have is left out."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: _plain(value) for name, value in given.items() if value is not None} | {
            "computed": self.computed,
            "agrees": self.agrees,
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowStep(Step):
    """A window of numbers is gathered: convolution and pooling.

    `inputs` and `weights` are float64 (channels, kernel…), of pooling (kernel…); `padded` (kernel…) marks what lies
    outside. `channel_sums` (channels,) are what each channel adds. `chosen` is where in the window the largest is.
    """

    reads: Window
    inputs: np.ndarray
    padded: np.ndarray
    weights: np.ndarray | None = None
    channel_sums: np.ndarray | None = None
    bias: float | None = None
    divisor: float | None = None
    chosen: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseStep(Step):
    """Σ w·x + b of two vectors, (features,) each. `weights_read` says where the weights stand if a node made them."""

    reads: Window
    inputs: np.ndarray
    weights: np.ndarray
    bias: float | None = None
    alpha: float = 1.0
    beta: float = 1.0
    weights_read: Window | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class ReduceStep(Step):
    """One number of many: a mean, a sum, the largest. `inputs` have the dimensions that vanish."""

    reads: Window
    inputs: np.ndarray
    chosen: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class SoftmaxStep(Step):
    """exp((x − greatest) / T) / sum. All are (classes,); `chosen` is the class that is asked for."""

    reads: Window
    logits: np.ndarray
    exponentials: np.ndarray
    sum: float
    greatest: float
    temperature: float
    chosen: int


@dataclass(frozen=True, eq=False, kw_only=True)
class NumbersStep(Step):
    """One number becomes another: `numbers` are those of the formula, x among them."""

    numbers: Mapping[str, float]


@dataclass(frozen=True)
class Term:
    """One operand: where it stands (None for a parameter, or memory that was written over), and its value."""

    name: str
    reads: Place | Window | None
    value: float | None

    def to_dict(self) -> dict[str, Any]:
        reads = None if self.reads is None else self.reads.to_dict()
        return {"name": self.name, "reads": reads, "value": self.value}


@dataclass(frozen=True, eq=False, kw_only=True)
class BranchStep(Step):
    """Several tensors meet, number by number: the sum of two branches, a product with a gate."""

    operands: tuple[Term, ...]
    numbers: Mapping[str, float] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class MovedStep(Step):
    """The number only stands elsewhere: `reads` is where it stood before; None for a constant, such as padding."""

    reads: Place | None


@dataclass(frozen=True, eq=False, kw_only=True)
class UnknownStep(Step):
    """No rule is known: the operands, which can still be walked to."""

    operands: tuple[Term, ...]
    known: bool = False


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
