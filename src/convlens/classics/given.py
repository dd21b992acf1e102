"""What a classic may be given: pictures as rows of units, labels, seeds. All else is refused here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.errors import DataError, UsageError, check_count

Progress = Callable[[str, int, int, str], None]  # stage, done, total, detail
Pictures = Tensor | np.ndarray


def check_pictures(pictures: Pictures, num_units: int, like: Tensor, *, binary: bool = False) -> Tensor:
    """(N, num_units) in 0..1, or of 0 and 1 alone, in the type and on the device of `like`.

    UsageError for another shape, DataError for what are no numbers of the range.
    """
    if not isinstance(pictures, Tensor | np.ndarray):
        raise UsageError(f"pictures came as {type(pictures).__name__}; expected a tensor or an array (N, {num_units})")
    if pictures.ndim != 2 or pictures.shape[1] != num_units or not len(pictures):
        raise UsageError(
            f"pictures came with shape {tuple(pictures.shape)}; expected (N, {num_units}) with N of at least 1: "
            "one row a picture, one number a unit"
        )
    given = check_range(as_tensor(pictures).to(like))
    if binary and not ((given == 0) | (given == 1)).all():
        raise DataError("pictures hold greys; expected 0 and 1 alone: compare with a threshold, such as pictures > 0.5")
    return given


def check_range(pictures: Tensor) -> Tensor:
    """DataError unless all are numbers from 0 to 1."""
    least, most = pictures.min().item(), pictures.max().item()
    if not math.isfinite(least) or not math.isfinite(most):
        raise DataError(
            "pictures hold NaN or infinity; expected numbers from 0 to 1: find out which pictures are damaged"
        )
    if least < 0 or most > 1:
        way = "divide by the largest" if least >= 0 else f"subtract {least:.4g}, then divide by {most - least:.4g}"
        raise DataError(f"pictures hold values from {least:.4g} to {most:.4g}; expected 0 to 1: {way}")
    return pictures


def check_units(what: str, given: Tensor, num_units: int, like: Tensor) -> Tensor:
    """(…, num_units) as it is, in the type of `like`; UsageError for anything else."""
    if not isinstance(given, Tensor) or given.dtype != like.dtype or given.shape[-1:] != (num_units,):
        came = f"{tuple(given.shape)} of {given.dtype}" if isinstance(given, Tensor) else type(given).__name__
        raise UsageError(f"{what} came as {came}; expected a tensor (N, {num_units}) of {like.dtype}")
    return given


def as_tensor(given: Pictures) -> Tensor:
    """An array of its own, whatever the strides; a tensor as it is. DataError for what are no real numbers."""
    found = given if isinstance(given, Tensor) else np.array(given)
    if isinstance(found, Tensor) and not found.is_complex():
        return found
    if isinstance(found, Tensor) or found.dtype.kind not in "biuf":
        raise DataError(f"an array of {found.dtype} came; expected real numbers")
    return torch.from_numpy(found)


def check_labels(labels: Tensor | np.ndarray, num_pictures: int, num_classes: int) -> Tensor:
    """(N,) whole numbers below `num_classes`, one for each picture."""
    given = as_tensor(labels)
    if given.shape != (num_pictures,) or given.is_floating_point():
        raise UsageError(
            f"labels came as {tuple(given.shape)} of {given.dtype}; expected ({num_pictures:,},) whole numbers"
        )
    if given.min() < 0 or given.max() >= num_classes:
        raise DataError(f"labels go from {given.min()} to {given.max()}; expected 0 to {num_classes - 1}")
    return given.long()


def one_hot_labels(labels: Tensor | np.ndarray | None, num_pictures: int, num_classes: int, like: Tensor) -> Tensor:
    """-> (N, num_classes), 1 at the class of each; no columns where there are no classes."""
    if (labels is None) != (num_classes == 0):
        came = "no labels" if labels is None else "labels"
        raise UsageError(f"{came} came for {num_classes} classes; give one label a picture, or none to both")
    if labels is None:
        return like.new_zeros(num_pictures, 0)
    return F.one_hot(check_labels(labels, num_pictures, num_classes), num_classes).to(like)


def one_hot_wanted(wanted: Tensor | np.ndarray, num_classes: int, like: Tensor) -> Tensor:
    """Classes (N,), one for each picture that is asked for -> (N, num_classes)."""
    given = as_tensor(wanted)
    if given.ndim != 1 or not len(given):
        raise UsageError(
            f"what to make came with shape {tuple(given.shape)}; expected how many pictures, a whole number, or "
            "classes (N,) with N of at least 1"
        )
    if not num_classes:
        raise UsageError("labels came for 0 classes; give how many pictures to make, a whole number")
    return one_hot_labels(given, len(given), num_classes, like)


@contextmanager
def learning(learner: nn.Module) -> Iterator[None]:
    """Around an epoch: DataError where the weights are no finite numbers any more."""
    try:
        yield
    except RuntimeError as error:  # torch cannot draw with chances that are NaN, nor step at a rate beyond float32
        check_finite(learner)
        if "overflow" in str(error):
            raise _diverged(learner) from error
        raise
    check_finite(learner)


def check_finite(learner: nn.Module, *values: Tensor) -> None:
    """DataError unless its weights, and these values of it, are finite numbers."""
    if not all(value.isfinite().all() for value in (*learner.state_dict().values(), *values)):
        raise _diverged(learner)


def _diverged(learner: nn.Module) -> DataError:
    return DataError(
        f"{type(learner).__name__} diverged: its weights are no finite numbers any more; fit again with a smaller "
        "learning_rate"
    )


def draws_of(seed: int, like: Tensor) -> torch.Generator:
    """A generator of its own for each call, so that torch's is left alone; another device draws other numbers."""
    if check_count("seed", seed, 0) >= 1 << 63:
        raise UsageError(f"seed is {seed}; expected a whole number below 2**63")
    return torch.Generator(like.device).manual_seed(int(seed))


def coins(chances: Tensor, draws: torch.Generator) -> Tensor:
    """1 with each of these chances, else 0."""
    return torch.bernoulli(chances, generator=draws)


def check_file(path: str | Path) -> Path:
    if not (file := Path(path)).is_file():
        raise UsageError(f"no file at {path}; give the path of one that `save` wrote")
    return file
