"""Weights from and to the file that the torch network has too."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from convlens.errors import StorageError, UsageError
from convlens.scratch.layer import is_finite

COUNTER = "num_batches_tracked"  # torch's, of batch normalisation; files of old have none


def fitted(
    own: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray], *, in_order: bool = False
) -> dict[str, np.ndarray]:
    """The given arrays by the network's own names; UsageError where names, shapes or kinds differ."""
    if not isinstance(given, Mapping):
        raise UsageError(f"the weights came as {type(given).__name__}, expected arrays by name, as `state` gives them")
    wanted = [name for name in own if not name.endswith(COUNTER)]
    values = {name: array for name, array in given.items() if not name.endswith(COUNTER)}
    if in_order:
        if len(values) != len(wanted):
            raise UsageError(f"{len(values)} arrays came, expected {len(wanted)}: {', '.join(wanted)}")
        values = dict(zip(wanted, values.values(), strict=True))
    _check_names(wanted, values)
    for name in wanted:
        if np.shape(values[name]) != own[name].shape:
            raise UsageError(f"'{name}' came with shape {np.shape(values[name])}, expected {own[name].shape}")
        if not is_finite(np.asarray(values[name]), own[name].dtype):
            raise UsageError(
                f"'{name}' holds what is no finite number in {own[name].dtype}, expected finite weights: take those "
                "from before the training diverged"
            )
    counters = {name: given.get(name, own[name]) for name in own if name.endswith(COUNTER)}
    return values | counters


def _check_names(wanted: list[str], values: Mapping[str, np.ndarray]) -> None:
    missing = [name for name in wanted if name not in values]
    extra = [name for name in values if name not in set(wanted)]
    if missing or extra:
        raise UsageError(
            f"the weights do not fit by name: missing {', '.join(missing) or 'none'}, unknown "
            f"{', '.join(extra) or 'none'}; name the layers as the file does, or load a state_dict with in_order=True"
        )


def read_file(path: Path) -> dict[str, np.ndarray]:
    """A safetensors file -> its arrays."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = dict(load_file(path))
        if strange := [array.dtype for array in arrays.values() if array.dtype.isbuiltin != 1]:
            raise TypeError(strange[0])  # which another package has taught NumPy
    except (OSError, SafetensorError) as error:
        raise StorageError(f"{path} cannot be read as safetensors ({error}); give a run's weights file") from error
    except TypeError as error:
        raise StorageError(f"{path} holds numbers that NumPy lacks ({error}); save them as float32") from error
    if broken := [name for name, array in arrays.items() if not is_finite(array, array.dtype)]:
        raise StorageError(
            f"{path}: '{broken[0]}' holds NaN or infinity, expected finite weights: take those from before the "
            "training diverged"
        )
    return arrays


def write_file(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """Whole or not at all: a file that is there stays until the new one is on the disk beside it."""
    from safetensors.numpy import save

    beside = path.parent / f".convlens-{secrets.token_hex(6)}.tmp"
    try:
        with beside.open("xb") as file:
            file.write(save({name: array.copy(order="C") for name, array in state.items()}))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error}); give a file in a folder that exists") from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
