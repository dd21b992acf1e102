"""`convlens predict`."""

from __future__ import annotations

import csv
import sys
from typing import Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import Engine, Json, Network, RunFolder
from convlens.cli.output import print_json, print_table, share
from convlens.cli.progress import Bars
from convlens.errors import UsageError, counted

EXAMPLE = "convlens predict runs/demo runs/demo/examples"


@guarded
def predict(
    run: RunFolder,
    pictures: Annotated[
        list[str], typer.Argument(help="Files, folders or globs; - reads paths from stdin, one a line.")
    ],
    top: Annotated[int, typer.Option(help="How many classes to name.")] = 3,
    engine: Engine = "plain",
    network: Network = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    as_json: Json = False,
) -> None:
    """Classify pictures, with calibrated probabilities."""
    from convlens import workbench

    if as_csv and as_json:
        raise UsageError("--csv and --json were both given; give one of them")
    if "-" in pictures:
        listed = [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
        pictures = [name for name in pictures if name != "-"] + listed
    with Bars() as bars:
        result = workbench.predict(
            run, pictures, top=top, engine=engine, network=network, progress=bars, tell=bars.tell
        )
    if as_json:
        print_json(result)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["picture", "label", "probability"])
        writer.writerows((one.picture, one.label, f"{one.probability:.6f}") for one in result.predictions)
    else:
        rows = [
            (one.picture, "   ".join(f"{name} {share(probability)}" for name, probability in one.top))
            for one in result.predictions
        ]
        print_table(f"{result.run.name}: {counted(len(rows), 'picture')}", ["picture", "classes"], rows)
    for bad in result.unreadable:
        print(f"not read: {bad.picture}: {bad.reason}", file=sys.stderr)
    if result.unreadable:
        raise typer.Exit(1)
