"""What a classifier says, checked once: logits (N, K), labels (N,)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from convlens.errors import DataError, UsageError


def checked_logits(logits: Any) -> Tensor:
    """Anything like (N, K) -> the same in float64 on the CPU; DataError when it is empty or not finite."""
    values = torch.as_tensor(logits).detach().to("cpu", torch.float64)
    if values.ndim != 2 or values.shape[1] < 1:
        raise DataError(
            f"logits have the shape {tuple(values.shape)}, expected (pictures, classes); give one row a picture"
        )
    return check_finite(values)


def check_finite(logits: Tensor) -> Tensor:
    """The same (N, K); DataError where a row holds another number."""
    bad = int((~torch.isfinite(logits).all(dim=-1)).sum())
    if bad:
        raise DataError(
            f"{bad:,} of {logits.shape[:-1].numel():,} rows of logits hold NaN or infinity: the network diverged or "
            "its weights are damaged; train again with a smaller learning rate, or use an earlier checkpoint"
        )
    return logits


def checked_labels(labels: Any, num_pictures: int, num_classes: int) -> Tensor:
    """Anything like (N,) -> int64 on the CPU; DataError unless each names a class and there is one a picture."""
    values = torch.as_tensor(labels).detach().to("cpu", torch.int64)
    if num_pictures == 0:
        raise DataError("there are no pictures to score; expected at least one with a label")
    if values.shape != (num_pictures,):
        raise DataError(
            f"labels have the shape {tuple(values.shape)}, expected ({num_pictures},), one for each picture"
        )
    outside = int(((values < 0) | (values >= num_classes)).sum())
    if outside:
        raise DataError(
            f"{outside:,} of {num_pictures:,} labels are outside 0 to {num_classes - 1} (-1 means unlabelled); "
            "leave the pictures without a known class out"
        )
    return values


def checked_temperature(temperature: float) -> float:
    """A positive finite number; UsageError otherwise."""
    if not 0.0 < float(temperature) < float("inf"):
        raise UsageError(f"the temperature is {temperature}, expected a positive number; 1.0 changes nothing")
    return float(temperature)
