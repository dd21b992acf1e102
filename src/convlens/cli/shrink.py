"""`convlens shrink`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import DataDir, Json, RunFolder, numbers
from convlens.cli.output import print_json
from convlens.cli.progress import Bars
from convlens.cli.shrink_tables import print_before_and_after

EXAMPLE = "convlens shrink runs/demo --resolution 20 --epochs 1 --out runs/smaller"


@guarded
def shrink(
    run: RunFolder,
    data: Annotated[str | None, typer.Argument(help="Pictures to learn on; by default the run's own.")] = None,
    width: Annotated[str | None, typer.Option(help="Width multiplier, like 0.5, or several: 0.75,0.5.")] = None,
    resolution: Annotated[str | None, typer.Option(help="Side in pixels, like 160, or several.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Times to see each picture, for each new run.")] = None,
    budget: Annotated[str | None, typer.Option(help="Time for each new run, like 5m.")] = None,
    teach: Annotated[bool, typer.Option(help="Learn from the run's answers too.")] = True,
    out: Annotated[Path | None, typer.Option(help="The new run, or the folder of several.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw accuracy against latency into this SVG file.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make smaller runs of a run, and say honestly what became of its accuracy, bytes and time."""
    from convlens import workbench

    sides = None if resolution is None else [int(side) for side in numbers("--resolution", resolution) or ()]
    with Bars() as bars:
        result = workbench.shrink(
            run,
            data,
            width=numbers("--width", width),
            resolution=sides,
            epochs=epochs,
            budget=budget,
            teach=teach,
            out=out,
            plot=plot,
            device=device,
            data_dir=data_dir,
            progress=bars,
            tell=bars.tell,
        )
    if as_json:
        return print_json(result)
    print_before_and_after(result)
    best = result.shrunk[0].run
    typer.echo(f"use it: convlens predict {quote(str(best))} PICTURES")
