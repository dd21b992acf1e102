"""Early layers have learnt first, and need not learn on.

After FreezeOut (Brock, Lim, Ritchie and Weston 2017), https://arxiv.org/abs/1706.04983, which lowers the rates of layer
after layer to 0 and then freezes them. Departure: the stem alone is frozen, at once; nothing behind it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from convlens.errors import UsageError


def check_stem(network: nn.Module) -> None:
    """UsageError where there is no stem that learns, or no matrix behind it that goes on learning."""
    stem = getattr(network, "stem", None)
    inside = set(stem.parameters()) if isinstance(stem, nn.Module) else set()
    if not any(p.requires_grad for p in inside):
        raise UsageError(
            f"freeze_stem came for {type(network).__name__}, which has no stem with parameters that are trained; "
            "leave it out, or name that part of your network `stem`"
        )
    if not any(p.requires_grad and p.ndim > 1 for p in network.parameters() if p not in inside):
        raise UsageError(
            f"freeze_stem came for {type(network).__name__}, of which nothing but the stem is trained; leave it out"
        )


def freeze_stem(network: nn.Module) -> None:
    """Its parameters stay as they are; what its norms keep running goes on."""
    assert isinstance(network.stem, nn.Module)
    network.stem.requires_grad_(False)


def keep_statistics(network: nn.Module) -> None:
    """Batch norms go on with the statistics that they were trained with: small batches would only blur them."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


@contextmanager
def thawed_afterwards(network: nn.Module) -> Iterator[None]:
    """What was trained before can be trained again."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
