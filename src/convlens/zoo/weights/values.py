"""What a weight may be: a finite number with a fraction. All else would load as nonsense without a word."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from convlens.errors import StorageError

READ = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def check_values(tensors: Mapping[str, torch.Tensor], source: str) -> None:
    """StorageError that names the first tensor of another kind, or with a number that float32 does not hold."""
    for name, tensor in tensors.items():
        if tensor.is_meta:
            raise StorageError(
                f"{source}: '{name}' has a shape and no numbers (meta); save the network with its weights"
            )
        if tensor.layout is not torch.strided:
            raise StorageError(f"{source}: '{name}' is a sparse tensor; save it as a dense one, by its to_dense()")
        if tensor.dtype not in READ:
            raise StorageError(
                f"{source}: '{name}' holds {_kind(tensor.dtype)} numbers; weights are read from "
                f"{', '.join(map(_kind, READ))}; save them as one of these, quantised ones multiplied by their scales"
            )
        wrong = tensor.numel() - int(tensor.float().isfinite().sum())
        if wrong:
            raise StorageError(
                f"{source}: '{name}' holds {wrong:,} of {tensor.numel():,} numbers as NaN or infinity in float32; "
                "expected finite weights; save them from before the training diverged, or fetch the file again"
            )


def check_variance(tensor: torch.Tensor, target: str, name: str, source: str) -> None:
    """StorageError where `name` would give the network's `target` a negative variance."""
    if target.endswith("running_var") and bool((tensor < 0).any()):
        raise StorageError(
            f"{source}: '{name}' holds a variance below zero; expected squares; save or fetch the file again"
        )


def _kind(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
