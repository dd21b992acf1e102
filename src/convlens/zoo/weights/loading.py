"""Weights into a network, from a file or from the place where they were published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from convlens.errors import UsageError
from convlens.zoo.architecture import Network, WeightsRecord
from convlens.zoo.registry import entry
from convlens.zoo.weights.describing import preprocessing_of
from convlens.zoo.weights.layout import in_our_layout
from convlens.zoo.weights.matching import match
from convlens.zoo.weights.order import in_layer_order
from convlens.zoo.weights.published import IMAGENET, PublishedWeights, published
from convlens.zoo.weights.reading import FileTensors, read_tensors, to_safetensors
from convlens.zoo.weights.values import check_values

Progress = Callable[[str, int, int, str], None]
WAIT_FOR_OTHER_S = 600.0  # another process may be fetching weights


def load_weights(network: Network, source: str | Path, progress: Progress | None = None) -> WeightsRecord:
    """Copy the tensors of "imagenet" or of a .safetensors, .npz, .pth, .pt or .th file into a network of the zoo.

    Nothing is copied unless all of it fits, the last layer for another number of classes apart. Raises UsageError for
    an unknown source, StorageError for a damaged file or numbers that are no weights, NetworkError for tensors that do
    not fit, DownloadError.
    """
    from convlens.storage import sha256_file

    if source == "imagenet":
        weights = _published(network.architecture.name)
        content = _fetch(weights, progress)
        digest = content.metadata["sha256"]
        preprocessing: dict[str, Any] | None = weights.preprocessing
    else:
        content = read_tensors(Path(source))
        digest = sha256_file(Path(source))
        preprocessing = preprocessing_of(network, content, Path(source), digest)
    state = network.state_dict()
    content = in_layer_order(content, entry(network.architecture.name).family, state)
    check_values(content.tensors, str(source))
    matched, left_out = match(state, in_our_layout(network, content), str(source))
    with torch.no_grad():
        for name, tensor in matched.items():
            state[name].copy_(tensor)
    record = WeightsRecord(str(source), digest, len(matched), left_out, preprocessing)
    network.weights_record = record
    return record


def _published(name: str) -> PublishedWeights:
    weights = published(name)
    if weights is None:
        raise UsageError(
            f"no published ImageNet weights are known for {name}; give the path of a file, "
            f"or take one of {', '.join(IMAGENET)}"
        )
    return weights


def _fetch(weights: PublishedWeights, progress: Progress | None) -> FileTensors:
    """The tensors from the cache, downloaded and converted to safetensors the first time."""
    from convlens import storage

    original = storage.cache_dir() / "weights" / weights.file
    converted = original.with_suffix(".safetensors")
    if not converted.is_file():
        with storage.FolderLock(original.parent, name=".weights.lock", wait_s=WAIT_FOR_OTHER_S):
            if not converted.is_file():  # made by the process that we waited for
                storage.download(weights.urls, original, sha256=weights.sha256, progress=progress)
                data = to_safetensors(read_tensors(original), sha256=storage.sha256_file(original))
                storage.make_room(len(data))
                storage.write_bytes(converted, data)
                original.unlink()
    storage.touch(converted)
    return read_tensors(converted)
