"""Any unit of any network, shown as the sum it is.

record_values(model, image)          every number that the network computes for one picture
take_apart(recording, node, position) one of them as steps: what it reads, times what, plus what, through which gate
"""

from __future__ import annotations

from convlens.arithmetic.names import layer_names
from convlens.arithmetic.places import Place, Window
from convlens.arithmetic.recording import Recording, record_values
from convlens.arithmetic.steps import (
    BranchStep,
    DenseStep,
    MovedStep,
    NumbersStep,
    ReduceStep,
    SoftmaxStep,
    Step,
    Term,
    UnknownStep,
    WindowStep,
)
from convlens.arithmetic.unit import Field, UnitSum, take_apart

__all__ = [
    "BranchStep",
    "DenseStep",
    "Field",
    "MovedStep",
    "NumbersStep",
    "Place",
    "Recording",
    "ReduceStep",
    "SoftmaxStep",
    "Step",
    "Term",
    "UnitSum",
    "UnknownStep",
    "Window",
    "WindowStep",
    "layer_names",
    "record_values",
    "take_apart",
]
