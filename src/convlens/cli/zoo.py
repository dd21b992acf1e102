"""`convlens zoo`."""

from __future__ import annotations

from typing import Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import Json
from convlens.cli.output import console, count, print_json, print_table, share

EXAMPLE = "convlens zoo 'mobilenet_*'"
COLUMNS = ("network", ">year", ">pixels", ">parameters", ">MACs", ">field", ">top-1", "options", "paper")
WIDE = 140  # columns of a terminal that has room for the last two


@guarded
def zoo(
    pattern: Annotated[str, typer.Argument(help="A name, a family, or a pattern such as 'resnet*'.")] = "*",
    as_json: Json = False,
) -> None:
    """List the networks with year, paper, parameters, MACs and receptive field."""
    from convlens import workbench

    result = workbench.zoo(pattern)
    if as_json:
        return print_json(result)
    rows = [
        (
            row.name,
            row.year,
            row.resolution,
            f"{row.parameters:,}",
            count(row.macs),
            f"{row.receptive_field} px" if row.receptive_field else None,
            share(row.top1),
            ", ".join(row.options),
            f"{row.authors}: {row.paper}",
        )
        for row in result.networks
    ]
    shown = len(COLUMNS) if console().width >= WIDE else -2
    title = (
        f"{len(rows)} networks; field: receptive field of the last feature map; top-1: published, on ImageNet or MNIST"
    )
    print_table(title, COLUMNS[:shown], [row[:shown] for row in rows])
