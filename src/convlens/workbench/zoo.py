"""`convlens zoo`: the networks, with year, paper, parameters, MACs and receptive field; the card of one."""

from __future__ import annotations

import inspect
import re
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from functools import partial
from typing import Any

import convlens.zoo as room
from convlens.errors import UsageError, nearest, unknown_name
from convlens.measurement import LayerMeasure
from convlens.workbench.measure import measure
from convlens.workbench.typed import typed

SORTS = ("name", "year", "parameters", "macs", "depth", "receptive_field", "top1")


@dataclass(frozen=True)
class ZooRow:
    """One network at its paper's resolution; accuracies are published ones, 0 to 1, None where there is none.

    The numbers are those of `zoo.FACTS`, which the tests count anew: trainable parameters, MACs for one picture, layers
    with weights on the longest way, and the receptive field of the last feature map through convolutions and poolings;
    in a `gated` network every position depends on the whole picture as well. `counts_source` is that of parameters and
    MACs. Accuracies are of one `data_set`, and taken as `protocol` says: "test part", "1 crop", "10 crops" or "dense".
    """

    name: str
    family: str
    year: int
    paper: str
    authors: str
    link: str
    resolution: int
    parameters: int
    macs: int
    depth: int
    receptive_field: int | None
    gated: bool
    counts_source: str
    top1: float | None
    top5: float | None
    data_set: str | None
    protocol: str | None
    accuracy_source: str | None
    options: tuple[str, ...]


@dataclass(frozen=True)
class ZooPart:
    """A stem, a stage or a head: what comes out of it (without the batch), and what it costs."""

    path: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class ZooCard:
    """`about` is the head of the network's file, with every departure from the paper; `table` is the paper's."""

    about: str
    table: str
    parts: tuple[ZooPart, ...]
    published_weights: str | None  # the file's name


@dataclass(frozen=True)
class ZooResult:
    """`card` is there when one network was named."""

    networks: tuple[ZooRow, ...]
    card: ZooCard | None = None


@typed
def zoo(pattern: str = "*", *, sort: str = "year") -> ZooResult:
    """The network of this name, or those whose name or family matches a pattern such as "mobilenet_*".

    `sort` is one of the columns; the largest or latest comes last, and what has no value after it. Accuracies of one
    data set stand together: MNIST, CIFAR-10, then ImageNet.
    """
    if sort not in SORTS:
        raise unknown_name("column to sort by", sort, SORTS, f"choose one of {', '.join(SORTS)}")
    entries = [room.entry(name) for name in room.names()]
    named = [entry for entry in entries if entry.name == pattern]  # a family may have the name of a network
    chosen = named or [
        entry for entry in entries if fnmatch(entry.name, pattern) or fnmatch(entry.family.lower(), pattern.lower())
    ]
    if not chosen:
        raise _unmatched(pattern)
    rows = [_row(entry) for entry in chosen]
    rows.sort(key=partial(_place, sort=sort))
    return ZooResult(tuple(rows), _card(named[0]) if named else None)


def _unmatched(pattern: str) -> UsageError:
    """A pattern's letters tell which names it comes near; without a wildcard it was meant as a name."""
    names, remedy = room.names(), f"`convlens zoo` lists all {len(room.names())}"
    letters = re.sub(r"[*?]|\[.*?\]", "", pattern)
    if letters == pattern:
        return unknown_name("network", pattern, names, remedy)
    families = [*names, *{room.entry(name).family for name in names}]
    return UsageError(f"no network's name or family matches '{pattern}'{nearest(letters, families)}; {remedy}")


def _place(row: ZooRow, sort: str) -> tuple[bool, int, Any]:
    value = getattr(row, sort)
    data_set = room.DATA_SETS.index(row.data_set) if sort == "top1" and row.data_set else 0
    return value is None, data_set, value


def _row(entry: room.Entry) -> ZooRow:
    facts = room.FACTS[entry.name]
    return ZooRow(
        name=entry.name,
        family=entry.family,
        year=entry.year,
        paper=entry.paper,
        authors=entry.authors,
        link=entry.link,
        resolution=entry.resolution,
        options=tuple(entry.options),
        **asdict(facts),
    )


def _card(entry: room.Entry) -> ZooCard:
    module = inspect.getmodule(entry.make)
    assert module is not None
    tables = re.findall(r"# fmt: off\n(.*?)\n# fmt: on", inspect.getsource(module), flags=re.DOTALL)
    weights = room.published(entry.name)
    return ZooCard(
        about=inspect.getdoc(module) or "",
        table=tables[0] if tables else "",
        parts=tuple(_parts(measure(entry.name).network.layers)),
        published_weights=weights.file if weights else None,
    )


def _parts(layers: tuple[LayerMeasure, ...]) -> list[ZooPart]:
    """The layers of a stem, of each stage and of a head together, in their order."""
    groups: dict[str, list[LayerMeasure]] = {}
    for layer in layers:
        steps = layer.path.split(".")
        groups.setdefault(".".join(steps[: 2 if steps[0] == "stages" else 1]), []).append(layer)
    return [
        ZooPart(
            path,
            tuple(members[-1].output_shape[1:]),
            sum(layer.parameters for layer in members),
            sum(layer.macs or 0 for layer in members),
        )
        for path, members in groups.items()
    ]
