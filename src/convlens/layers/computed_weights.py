"""Weights that a layer computes from other parameters at each call, as weight_norm and spectral_norm do."""

from __future__ import annotations

from collections.abc import Container

from torch import Tensor, nn
from torch.nn.utils.weight_norm import WeightNorm

from convlens.errors import NetworkError

MULTIPLYING = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def check_copyable(network: nn.Module) -> None:
    """NetworkError for a layer that keeps what it computed, gradients and all, as torch's older weight_norm does."""
    for path, layer in network.named_modules():
        if any(isinstance(hook, WeightNorm) for hook in layer._forward_pre_hooks.values()):
            raise NetworkError(
                f"{_named(path, network)} has torch.nn.utils.weight_norm, with which torch cannot copy a network; take "
                "torch.nn.utils.parametrizations.weight_norm in its place"
            )
        for name, held in vars(layer).items():
            if isinstance(held, Tensor) and held.grad_fn is not None:
                raise NetworkError(
                    f"{_named(path, network)} holds '{name}', computed from other parameters, with which torch cannot "
                    "copy a network; call torch.nn.utils.prune.remove, or take torch.nn.utils.parametrizations for the "
                    "older spectral_norm"
                )


def check_stored_weights(network: nn.Module, verb: str, paths: Container[str] | None = None) -> None:
    """NetworkError where the weight of a convolution or dense layer, or of one of these, is computed from others."""
    check_copyable(network)
    for path, layer in network.named_modules():
        asked = paths is None or path in paths
        if asked and isinstance(layer, MULTIPLYING) and layer._parameters.get("weight") is None:
            raise NetworkError(
                f"the weight of {_named(path, network)} is computed from other parameters (weight_norm, spectral_norm "
                f"or the like) and cannot be {verb}; train the network without that"
            )


def _named(path: str, network: nn.Module) -> str:
    return f"'{path}' of {type(network).__name__}" if path else type(network).__name__
