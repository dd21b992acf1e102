"""From a name to a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from convlens.errors import UsageError, check_count
from convlens.zoo.architecture import Architecture, Network, check_image_size
from convlens.zoo.registry import Entry, entry


def create(
    name: str,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    image_size: int | tuple[int, int] | None = None,
    weights: str | Path | None = None,
    progress: Callable[[str, int, int, str], None] | None = None,
    **options: Any,
) -> Network:
    """A network by its registered name; logits out, (N, in_channels, height, width) -> (N, num_classes).

    image_size None is the paper's resolution; a short side up to 64 px selects the small-picture stem (see `small.py`).
    `weights` is "imagenet" or the path of a file; `network.weights_record` then says what was loaded. `options` are the
    family's own, such as width=0.5. Raises UsageError for a wrong argument, NetworkError for pictures too small.
    """
    described = entry(name)
    check_options(described, options)
    architecture = Architecture(
        name,
        check_count("num_classes", num_classes),
        check_count("in_channels", in_channels),
        check_image_size(described.resolution if image_size is None else image_size),
        {key: value for key, value in options.items() if not same(value, described.options[key])},
    )
    network = build(architecture)
    if weights is not None:
        from convlens.zoo.weights import load_weights

        load_weights(network, weights, progress)
    return network


def build(architecture: Architecture) -> Network:
    """The network that an Architecture describes, with fresh weights drawn from torch's default generator."""
    described = entry(architecture.name)
    check_options(described, architecture.options)
    network = described.make(
        num_classes=architecture.num_classes,
        in_channels=architecture.in_channels,
        image_size=architecture.image_size,
        **architecture.options,
    )
    network.architecture = architecture
    return network


def check_options(described: Entry, options: Mapping[str, Any]) -> None:
    """UsageError for an option that the family does not have; the message lists those that it has."""
    for key in options:
        if key not in described.options:
            near = get_close_matches(key, described.options, n=1)
            hint = f" (near: {near[0]})" if near else ""
            known = ", ".join(f"{option} (default {default})" for option, default in described.options.items())
            raise UsageError(f"{described.name} has no option '{key}'{hint}; its options are: {known or 'none'}")


def same(value: Any, default: Any) -> bool:
    """Whether an option has its default; a list counts as the tuple of its items."""
    return bool((tuple(value) if isinstance(value, list) else value) == default)
