"""`convlens zoo`: the networks, with year, paper, parameters, MACs and receptive field."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch

import convlens.zoo as room
from convlens.errors import unknown_name
from convlens.workbench.measure import measure


@dataclass(frozen=True)
class ZooRow:
    """One network at its paper's resolution; accuracies are published ones, 0 to 1, None where there is none."""

    name: str
    family: str
    year: int
    paper: str
    authors: str
    link: str
    resolution: int
    parameters: int
    macs: int | None
    receptive_field: int | None
    top1: float | None
    top5: float | None
    options: tuple[str, ...]


@dataclass(frozen=True)
class ZooResult:
    networks: tuple[ZooRow, ...]


def zoo(pattern: str = "*") -> ZooResult:
    """The networks whose name or family matches a pattern such as "mobilenet_*", measured as they are built."""
    entries = [room.entry(name) for name in room.names()]
    chosen = [
        entry for entry in entries if fnmatch(entry.name, pattern) or fnmatch(entry.family.lower(), pattern.lower())
    ]
    if not chosen:
        raise unknown_name("network", pattern, room.names(), "`convlens zoo` lists all")
    return ZooResult(tuple(_row(entry) for entry in chosen))


def _row(entry: room.Entry) -> ZooRow:
    measured = measure(entry.name).network
    facts = room.FACTS[entry.name]
    field = measured.receptive_field
    return ZooRow(
        entry.name,
        entry.family,
        entry.year,
        entry.paper,
        entry.authors,
        entry.link,
        entry.resolution,
        measured.parameters,
        measured.macs,
        max(field) if field else None,
        facts.top1,
        facts.top5,
        tuple(entry.options),
    )
