"""`convlens compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from convlens.cli.compare_tables import print_pairs, print_rows
from convlens.cli.grid_tables import print_grid
from convlens.cli.guard import guarded
from convlens.cli.options import DataDir, Json
from convlens.cli.output import print_json
from convlens.cli.progress import Bars

EXAMPLE = "convlens compare --zoo mobilenet_v1"


@guarded
def compare(
    targets: Annotated[list[str] | None, typer.Argument(metavar="RUN|MODEL…", help="Runs, networks.")] = None,
    zoo: Annotated[str | None, typer.Option(help="Networks, at each width and size.", metavar="PATTERN")] = None,
    data: Annotated[str | None, typer.Option(help="Pictures to score the runs on; the first run's by default.")] = None,
    part: Annotated[str, typer.Option(help="test, val or all.")] = "test",
    latency: Annotated[bool, typer.Option("--latency", help="Time them on this machine, in turn.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw accuracy against cost into this SVG file.")] = None,
    data_dir: DataDir = None,
    network: Annotated[
        list[str] | None, typer.Option(help="A run's network where it is your own, as file.py:Class; for each.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Set runs and networks side by side: accuracy, parameters, MACs, bytes, latency, agreement, McNemar's test."""
    from convlens import workbench

    with Bars() as bars:
        result = workbench.compare(
            targets or [],
            data=data,
            zoo=zoo,
            latency=latency,
            part=part,
            plot=plot,
            data_dir=data_dir,
            network=network,
            progress=bars,
            tell=bars.tell,
        )
    if as_json:
        return print_json(result)
    print_rows(result)
    print_grid(result)
    print_pairs(result)
    if result.plot:
        typer.echo(f"drawn in {result.plot}")
