"""Weight files to tensors; the one place where torch.load is called, and only for tensors (weights_only=True)."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

from convlens.errors import StorageError, UsageError
from convlens.zoo.weights.order import count_layers, in_layer_order

TORCH_SUFFIXES = (".pth", ".pt", ".th")
ORDER = "convlens.order"
WRAPPERS = ("state_dict", "model_state_dict", "model")


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
    """The tensors of a .safetensors, .npz, .pth, .pt or .th file.

    Raises UsageError for a file that is not there or of another kind, StorageError for one that cannot be read.
    """
    if not path.is_file():
        raise UsageError(f"no weights file at {path}; give the path of a file, or 'imagenet'")
    readers = {".safetensors": _read_safetensors, ".npz": _read_npz} | dict.fromkeys(TORCH_SUFFIXES, _read_torch)
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path} ends in '{path.suffix}'; weights are read from {', '.join(readers)} files")
    try:
        content = reader(path)
    except Exception as error:  # torch.load and numpy raise a dozen kinds for a damaged file
        said = str(error).strip().splitlines() or [""]
        reason = said[0] if any(letter.isalpha() for letter in said[0]) else type(error).__name__
        raise StorageError(
            f"{path} cannot be read as weights ({reason}); expected a whole file of plain tensors "
            "(code in a file is never run)"
        ) from error
    if not content.tensors:
        raise StorageError(f"{path} holds no tensors; expected a state_dict, or one under {', '.join(WRAPPERS)}")
    return content


def to_safetensors(content: FileTensors, **metadata: str) -> bytes:
    """The same tensors as the bytes of a safetensors file, which sorts them by name: the order goes beside them."""
    metadata[ORDER] = json.dumps(list(content.tensors))
    return save({name: tensor.contiguous() for name, tensor in content.tensors.items()}, metadata=metadata)


def _read_safetensors(path: Path) -> FileTensors:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        order = json.loads(metadata[ORDER]) if ORDER in metadata else list(file.keys())
        tensors = {name: file.get_tensor(name) for name in order}
    return FileTensors(in_layer_order(tensors), ORDER in metadata or count_layers(tensors), metadata)


def _read_npz(path: Path) -> FileTensors:
    if not zipfile.is_zipfile(path):
        raise ValueError("it is not an archive of arrays")
    with np.load(path, allow_pickle=False) as file:
        tensors = {name: torch.from_numpy(file[name]) for name in file.files}
    return FileTensors(in_layer_order(tensors), True, {})


def _read_torch(path: Path) -> FileTensors:
    content = torch.load(path, map_location="cpu", weights_only=True)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    return FileTensors(in_layer_order(_only_tensors(content)), True, {})


def _only_tensors(content: Any) -> dict[str, torch.Tensor]:
    """A state_dict without what is not a tensor, and without the `module.` of a data-parallel training."""
    if not isinstance(content, Mapping):
        return {}
    return {
        str(name).removeprefix("module."): value for name, value in content.items() if isinstance(value, torch.Tensor)
    }
