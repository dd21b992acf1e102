"""What a search has tried, kept in the cache until it ends: after Ctrl-C, or a kill, the same command goes on.

A trial counts for the same run, pictures, ways of learning, versions and machine; limits, trials and budget may differ.
Only figures are kept: the winner learns for all of its epochs anyway, and is judged then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from convlens.errors import ConvlensError
from convlens.measurement import Latency
from convlens.shrinking.search import Candidate, Limits
from convlens.storage import cache_dir, make_room, sha256_bytes, sha256_file, touch, write_json
from convlens.training.machine import describe_machine
from convlens.workbench.compare import Compared
from convlens.workbench.engine_record import engine_versions
from convlens.workbench.gather import Gathered
from convlens.workbench.own_network import split_name
from convlens.workbench.results import plain
from convlens.workbench.teach import Teaching
from convlens.workbench.tried import Tried, misses_of

ROOM = 1 << 20  # bytes, more than any record has


class Record:
    """The trials of one search: those `before`, by candidate, and whether they are `kept` on the disk."""

    def __init__(self, about: Mapping[str, Any], limits: Limits) -> None:
        text = json.dumps(plain(about), sort_keys=True)
        self.path = cache_dir() / "searches" / f"{sha256_bytes(text.encode())[:32]}.json"
        self.before = {one.candidate: one for one in _read(self.path, limits)}
        self.kept = bool(self.before)

    def keep(self, tried: Sequence[Tried]) -> None:
        """A full or read-only disk costs the next command its time, and this one nothing."""
        known = {**self.before, **{one.candidate: one for one in tried}}
        try:
            make_room(ROOM)
            write_json(self.path, {"tried": plain(list(known.values()))})
            touch(self.path)
            self.kept = True
        except ConvlensError:
            self.kept = False

    def forget(self) -> None:
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def about(teaching: Teaching, gathered: Gathered, pruning: Mapping[str, Any]) -> dict[str, Any]:
    """All that decides about the figures of a candidate."""
    run, teacher, own = teaching.run, teaching.teacher, teaching.own_network
    facts = gathered.facts()
    return {
        "run": [run.manifest.weights["sha256"], run.manifest.architecture, run.preprocess, run.temperature],
        "teacher": None if teacher is None else teacher.manifest.weights["sha256"],
        "network": None if own is None else [own, sha256_file(Path(split_name(own)[0]))],
        "pictures": [facts["fingerprint"], facts["splits_sha256"]],
        "learning": [teaching.recipe, teaching.device],
        "pruning": pruning,
        "machine": describe_machine(),
        "versions": engine_versions(),
    }


def _read(path: Path, limits: Limits) -> list[Tried]:
    """Nothing where the file is missing, damaged or of another version."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return [_tried(one, limits) for one in json.loads(path.read_text(encoding="utf-8"))["tried"]]
    return []


def _tried(stored: Mapping[str, Any], limits: Limits) -> Tried:
    latency, row = Latency(**stored["latency"]), stored["figures"]
    figures = Compared(**{**row, "image_size": tuple(row["image_size"]), "latency": latency})
    values = {**stored, "figures": figures, "latency": latency, "candidate": Candidate(**stored["candidate"])}
    found = Tried(**values)
    return replace(found, misses=misses_of(limits, found.judged))
