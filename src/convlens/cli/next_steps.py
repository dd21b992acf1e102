"""What to do with a run that was just made."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from convlens.errors import ConvlensError


def next_steps(run: Path, network: str | None) -> list[tuple[str, str]]:
    """Commands that hold for its network: one without feature maps has no layer for the usual map."""
    from convlens.workbench import open_run
    from convlens.workbench.layer_sweep import last_layer

    own = "" if network is None else f" --network {quote(network)}"
    try:
        last_layer(open_run(run, network))
        method = ""
    except ConvlensError:
        method = " --method saliency"
    folder = quote(str(run))
    return [
        ("score it", f"convlens evaluate {folder}{own}"),
        ("see why", f"convlens explain {folder} PICTURES{method}{own}"),
    ]
