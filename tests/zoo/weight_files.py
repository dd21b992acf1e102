"""Networks small enough to write their weights to files again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

import convlens.zoo as zoo

State = dict[str, torch.Tensor]


def small_mobilenet(num_classes: int = 4, **options: Any) -> zoo.Network:
    return zoo.create("mobilenet_v2", num_classes=num_classes, image_size=32, width=0.25, **options)


def with_other_tensors(network: zoo.Network) -> zoo.Network:
    """The same with tensors that differ from every fresh one's."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
    return network


def write(path: Path, state: State) -> Path:
    """The state as the file that the suffix says."""
    if path.suffix == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in state.items()})
    elif path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path
