"""Weights alone, as safetensors with the facts in its header: for whoever has the network's code."""

from __future__ import annotations

from collections.abc import Mapping

from safetensors.torch import save
from torch import nn

from convlens.exporting.deployed import Given, at_rest


def safetensors_bytes(network: nn.Module, given: Given, *, metadata: Mapping[str, str] | None = None) -> bytes:
    """The `state_dict` under its own names; tensors that share memory are written each for itself."""
    state = at_rest(network).state_dict()
    return bytes(save({name: tensor.contiguous().clone() for name, tensor in state.items()}, dict(metadata or {})))
