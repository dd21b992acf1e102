"""What an explanation may leave behind in the network, in torch and in Python: states, taken before and after."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn


def network_state(model: nn.Module) -> dict[str, Any]:
    """All that must be as it was: modules, modes, hooks, requires_grad, gradients, weights and buffers.

    What a network keeps in attributes of its own, such as its last activation, is its own affair.
    """
    state: dict[str, Any] = {}
    for name, module in model.named_modules():
        hooks = {key: list(value) for key, value in vars(module).items() if key.endswith("_hooks") and value}
        state[f"module {name or '(root)'}"] = (module, vars(module).get("forward"), module.training, hooks)
    for name, parameter in model.named_parameters():
        gradient = None if parameter.grad is None else (id(parameter.grad), parameter.grad.clone())
        state[f"parameter {name}"] = (
            parameter.requires_grad,
            gradient,
            _hooks_of(parameter),
            parameter.detach().clone(),
        )
    for name, buffer in model.named_buffers():
        state[f"buffer {name}"] = buffer.clone()
    return state


def _hooks_of(parameter: Tensor) -> list[Any]:
    """Hooks for its gradient, before and after it is added up."""
    kept = (getattr(parameter, name, None) for name in ("_backward_hooks", "_post_accumulate_grad_hooks"))
    return [hook for hooks in kept if hooks for hook in hooks.values()]


def difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The first thing that differs between two states, "" when nothing does."""
    if before.keys() != after.keys():
        return f"{', '.join(sorted(before.keys() ^ after.keys()))} came or went"
    return next((f"{name} was changed" for name in before if not _same(before[name], after[name])), "")


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor):
        alike = isinstance(second, Tensor) and first.shape == second.shape and first.dtype == second.dtype
        return alike and bool(torch.equal(first.nan_to_num(), second.nan_to_num()))
    if isinstance(first, tuple):
        return isinstance(second, tuple) and all(_same(a, b) for a, b in zip(first, second, strict=True))
    return bool(first == second)


def torch_state() -> dict[str, Any]:
    """Modes and hooks that hold for all networks of the process, by name."""
    hooks = {name: len(value) for name, value in vars(torch.nn.modules.module).items() if name.endswith("_hooks")}
    return {
        "the default type": torch.get_default_dtype(),
        "a hook for all modules": hooks,
        "grad mode": torch.is_grad_enabled(),
        "the number of threads": torch.get_num_threads(),
        "deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "anomaly detection": torch.is_anomaly_enabled(),
    }


def generator_states() -> dict[str, Any]:
    key, *drawn = cast(Any, np.random.get_state())[1:]  # noqa: NPY002, the generator that a method must leave alone
    return {
        "torch's random generator": torch.get_rng_state(),
        "NumPy's random generator": (key.tobytes(), *drawn),
        "Python's random generator": random.getstate(),
    }


@contextmanager
def generators_apart() -> Iterator[None]:
    """Inside, the generators of random numbers are in states in which no method leaves them by chance."""
    of_numpy, of_python = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(271828)
            np.random.seed(271828)  # noqa: NPY002
            random.seed(271828)
            yield
    finally:
        np.random.set_state(of_numpy)  # noqa: NPY002
        random.setstate(of_python)
