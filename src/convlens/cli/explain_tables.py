"""What `convlens explain` prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from convlens.cli.output import print_facts, print_table, share

if TYPE_CHECKING:
    from convlens.workbench import ExplainResult


def print_explained(result: ExplainResult, *, quiet: bool) -> None:
    """The classes, the verdicts and the files; what could not be read or drawn, on the standard error."""
    if not quiet:
        if result.pictures:
            rows = [(one.picture, one.target, share(one.probability), one.note) for one in result.pictures]
            print_table(f"{result.method}", ["picture", "explained class", ">probability", "note"], rows)
        facts = [(f"{check.method}: {check.badge}", check.reason) for check in result.sanity]
        if facts:
            print_facts("Sanity check", facts)
        drawn = [str(file) for file in result.files if file.suffix != ".npy"]
        arrays = len(result.files) - len(drawn)
        written = [("written to", "\n".join([*drawn, *([f"and {arrays} arrays (.npy)"] if arrays else [])]))]
        if result.note:
            written.append(("note", result.note))
        if result.report is not None:
            written.append(("the report", str(result.report)))
        print_facts(f"{result.method}" + (f" at {result.layer}" if result.layer else ""), written)
    for reason in result.refused:
        print(f"not drawn: {reason}", file=sys.stderr)
    for bad in result.unreadable:
        print(f"not read: {bad}", file=sys.stderr)
