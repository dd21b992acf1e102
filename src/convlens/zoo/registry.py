"""The register of networks: which names exist, whose papers they are, which options they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from convlens.errors import unknown_name
from convlens.zoo.architecture import Network

Variant = TypeVar("Variant", bound=Callable[..., Network])
STANDARD_ARGUMENTS = ("num_classes", "in_channels", "image_size")


@dataclass(frozen=True)
class Paper:
    """Where a family comes from."""

    family: str
    year: int
    title: str
    authors: str
    link: str


@dataclass(frozen=True)
class Entry:
    """One registered network; resolution, in_channels and num_classes are those of its paper's experiment."""

    name: str
    family: str
    year: int
    paper: str
    authors: str
    link: str
    resolution: int
    in_channels: int
    num_classes: int
    options: Mapping[str, Any]  # name -> default
    make: Callable[..., Network]


_ENTRIES: dict[str, Entry] = {}


def register(
    paper: Paper,
    network: type[Network],
    *,
    resolution: int = 224,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Callable[[Variant], Variant]:
    """Enter the decorated variant under its own name; its options are `network`'s keywords beside the standard ones."""

    def enter(variant: Variant) -> Variant:
        name = variant.__name__
        assert name not in _ENTRIES, f"{name} is registered twice"
        _ENTRIES[name] = Entry(
            name,
            paper.family,
            paper.year,
            paper.title,
            paper.authors,
            paper.link,
            resolution,
            in_channels,
            num_classes,
            options_of(network),
            variant,
        )
        return variant

    return enter


def options_of(network: type[Network]) -> dict[str, Any]:
    """The keyword-only arguments of a network's constructor beside the standard three, with their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(network).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in STANDARD_ARGUMENTS
    }


def names() -> tuple[str, ...]:
    """Every registered name, by year; within a year by family and depth."""
    return tuple(sorted(_ENTRIES, key=lambda name: _ENTRIES[name].year))


def families() -> dict[str, tuple[str, ...]]:
    """Family -> the names of its networks, by year."""
    members: dict[str, tuple[str, ...]] = {}
    for name in names():
        family = _ENTRIES[name].family
        members[family] = (*members.get(family, ()), name)
    return members


def entry(name: str) -> Entry:
    """What is known about a network; UsageError with the nearest names for one that is not registered."""
    if name not in _ENTRIES:
        raise unknown_name("network", name, _ENTRIES, f"`convlens zoo` lists all {len(_ENTRIES)}")
    return _ENTRIES[name]
