"""Early layers have learnt first, and need not learn on.

After FreezeOut (Brock, Lim, Ritchie and Weston 2017), https://arxiv.org/abs/1706.04983, which lowers the rates of layer
after layer to 0 and then freezes them. Departure: the stem alone is frozen, at once; nothing behind it is.
"""

from __future__ import annotations

from torch import nn

from convlens.errors import UsageError


def check_stem(network: nn.Module) -> None:
    """UsageError where there is no stem that learns."""
    stem = getattr(network, "stem", None)
    if not isinstance(stem, nn.Module) or not any(p.requires_grad for p in stem.parameters()):
        raise UsageError(
            f"freeze_stem came for {type(network).__name__}, which has no stem with parameters that are trained; "
            "leave it out, or name that part of your network `stem`"
        )


def freeze_stem(network: nn.Module) -> None:
    """Its parameters stay as they are; the running statistics of its norms go on."""
    assert isinstance(network.stem, nn.Module)
    network.stem.requires_grad_(False)
