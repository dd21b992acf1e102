"""`convlens bench`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import DataDir, Json
from convlens.cli.output import print_facts, print_json, print_table, share
from convlens.cli.progress import Bars
from convlens.errors import counted

EXAMPLE = "convlens bench lenet5 --batch 64"


@guarded
def bench(
    names: Annotated[list[str] | None, typer.Argument(metavar="RECIPE|MODEL", help="mnist by default.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Trainings of each recipe; 1 by default.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures a step, for networks; 32 by default.")] = None,
    data_dir: DataDir = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Json = False,
) -> None:
    """Time this machine: train published recipes, and count the pictures a second that networks learn from."""
    from convlens import workbench

    with Bars() as bars:
        result = workbench.bench(names or (), seeds=seeds, batch=batch, data_dir=data_dir, device=device, progress=bars)
    if as_json:
        return print_json(result)
    machine = result.machine
    facts = [("processor", machine["processor"]), ("usable", machine["cpus"]), ("flags", ", ".join(machine["flags"]))]
    print_facts("This machine", [*facts, ("accelerator", machine["accelerator"])])
    if result.recipes:
        rows = [
            (
                title(one.name, len(one.accuracies), one.tta),
                share(one.accuracy) if one.deviation is None else f"{100 * one.accuracy:.2f} ± {share(one.deviation)}",
                spread(one.training_s, 1),
                spread(one.whole_s, 1),
            )
            for one in result.recipes
        ]
        print_table("Recipes, on the test part", ["recipe", ">accuracy", ">training, s", ">whole command, s"], rows)
    if result.networks:
        rows = [
            (
                one.name,
                "×".join(str(side) for side in one.input_shape),
                f"{one.throughput.median:,.1f} ({one.throughput.slowest:,.1f} to {one.throughput.fastest:,.1f})",
                one.way,
            )
            for one in result.networks
        ]
        print_table("Networks, in training", ["network", "batch", ">pictures/s", "fastest way"], rows)


def title(name: str, seeds: int, tta: str) -> str:
    views = "" if tta == "none" else f", --tta {tta}"
    return f"{name} ({counted(seeds, 'seed')}{views})"


def spread(values: Sequence[float], digits: int) -> str:
    """Median, and from the least to the most."""
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"
