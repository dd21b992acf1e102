"""`convlens zoo`."""

from __future__ import annotations

from typing import Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import Json
from convlens.cli.output import count, print_json, print_table, share

EXAMPLE = "convlens zoo 'mobilenet_*'"


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
    columns = [
        "network",
        ">year",
        ">pixels",
        ">parameters",
        ">MACs",
        ">receptive field",
        ">top-1",
        "options",
        "paper",
    ]
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
    print_table(
        f"{len(rows)} networks; top-1 is the published accuracy on ImageNet (MNIST for the first ones)", columns, rows
    )
