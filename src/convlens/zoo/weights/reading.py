"""Weight files to tensors; the one place where torch.load is called, and only for tensors (weights_only=True)."""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

from convlens.errors import ConvlensError, StorageError, UsageError
from convlens.zoo.weights.unreadable import reason_of

TORCH_SUFFIXES = (".pth", ".pt", ".th")
ORDER = "convlens.order"
WRAPPERS = ("state_dict", "model_state_dict", "model")  # come before others, such as an average beside them
TRAINERS = re.compile(r"^(module\.|_orig_mod\.)+")  # what data-parallel and compiled networks put before each name
COUNTER = "num_batches_tracked"  # counts training steps; many files have none, and inference needs none


@dataclass(frozen=True)
class FileTensors:
    """A file's tensors by name; `ordered` says whether they stand in the order of the network that wrote them.

    `called` has the names in the file of those that were given ours.
    """

    tensors: dict[str, torch.Tensor]
    ordered: bool
    metadata: Mapping[str, str]
    called: Mapping[str, str] = field(default_factory=dict)


def read_tensors(path: Path) -> FileTensors:
    """The tensors of a .safetensors, .npz, .pth, .pt or .th file, without what counts steps.

    Raises UsageError for a file that is not there or of another kind, StorageError for one that cannot be read.
    """
    if not path.is_file():
        raise UsageError(f"no weights file at {path}; give the path of a file, or 'imagenet'")
    ours = {".safetensors": _read_safetensors, ".npz": _read_npz, ".packed": _read_packed}
    readers = ours | dict.fromkeys(TORCH_SUFFIXES, _read_torch)
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path} ends in '{path.suffix}'; weights are read from {', '.join(readers)} files")
    try:
        content = reader(path)
    except ConvlensError:
        raise
    except Exception as error:  # torch.load and numpy raise a dozen kinds for a damaged file
        raise StorageError(
            f"{path} cannot be read as weights ({reason_of(path, error)}); expected a whole file of plain tensors, "
            "such as a state_dict (code in a file is never run)"
        ) from error
    kept = {name: tensor for name, tensor in content.tensors.items() if not _counts(name, tensor)}
    if all(TRAINERS.match(name) for name in kept):
        kept = {TRAINERS.sub("", name): tensor for name, tensor in kept.items()}
    if not kept:
        raise StorageError(f"{path} holds no tensors by name; expected a state_dict, or one inside a checkpoint")
    return FileTensors(kept, content.ordered, content.metadata)


def _counts(name: str, tensor: torch.Tensor) -> bool:
    """Steps, epochs, averaged networks: a single whole number."""
    return name.endswith(COUNTER) or (tensor.dim() == 0 and tensor.dtype == torch.int64)


def to_safetensors(content: FileTensors, **metadata: str) -> bytes:
    """The same tensors as the bytes of a safetensors file, which sorts them by name: the order goes beside them."""
    metadata[ORDER] = json.dumps(list(content.tensors))
    return save({name: tensor.contiguous() for name, tensor in content.tensors.items()}, metadata=metadata)


def _read_safetensors(path: Path) -> FileTensors:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        order = json.loads(metadata[ORDER]) if ORDER in metadata else list(file.keys())
        return FileTensors({name: file.get_tensor(name) for name in order}, ORDER in metadata, metadata)


def _read_packed(path: Path) -> FileTensors:
    """Of a run with clustered weights, under the names of our networks."""
    from convlens.storage import unpack

    return FileTensors({name: torch.from_numpy(array) for name, array in unpack(path.read_bytes()).items()}, True, {})


def _read_npz(path: Path) -> FileTensors:
    if not zipfile.is_zipfile(path):
        raise zipfile.BadZipFile
    with np.load(path, allow_pickle=False) as file:
        return FileTensors({name: torch.from_numpy(file[name]) for name in file.files}, True, {})


def _read_torch(path: Path) -> FileTensors:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about its own future; what cannot be read is said by us
        content = torch.load(path, map_location="cpu", weights_only=True)
    state = _state_dict(content, path)
    return FileTensors({str(name): value for name, value in state.items() if _is_tensor(value)}, True, {})


def _state_dict(content: Any, path: Path) -> Mapping[Any, Any]:
    """The tensors by name, out of what a training saved with them; StorageError where there are several sets."""
    while isinstance(content, Mapping):
        inner = {name: value for name, value in content.items() if _holds_tensors(value)}
        known = [name for name in WRAPPERS if name in inner]
        if not inner:
            return content
        if not known and len(inner) > 1:
            raise StorageError(
                f"{path} holds several sets of tensors ({', '.join(map(str, inner))}); expected one, or one of them "
                f"as '{WRAPPERS[0]}'; save that which is meant in a file of its own"
            )
        content = inner[known[0] if known else next(iter(inner))]
    return {}


def _holds_tensors(value: Any) -> bool:
    """A mapping of names to tensors, or around one; an optimiser's state counts its tensors by numbers."""
    if not isinstance(value, Mapping):
        return False
    named = [inner for name, inner in value.items() if isinstance(name, str)]
    return any(_is_tensor(inner) or _holds_tensors(inner) for inner in named)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)
