"""The mode of a network, which it may act upon: merge weights, keep a norm frozen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """In evaluation mode; afterwards every module is in its own again, by its own `train`, from the outermost inwards.

    What a `train` of theirs then sets otherwise, such as the mode of a frozen norm, is set back as it was.
    """
    modes = [(module, module.training) for module in model.modules() if hasattr(module, "training")]
    try:
        with suppress(NotImplementedError):  # an exported program has one mode only
            model.eval()
        yield
    finally:
        for module, mode in modes:
            with suppress(Exception):  # of a `train` that refuses, or takes no mode: the flags are all there is
                if module.training != mode:
                    module.train(mode)
        for module, mode in modes:
            module.training = mode
