"""`convlens measure`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from convlens.cli.cost_tables import print_cost, print_layers, print_timing
from convlens.cli.formula_tables import print_formulas
from convlens.cli.guard import guarded
from convlens.cli.named_values import model_options
from convlens.cli.options import Json, ModelOption, whole_numbers
from convlens.cli.output import print_json

EXAMPLE = "convlens measure mobilenet_v1 --formulas"


@guarded
def measure(
    target: Annotated[
        str | None, typer.Argument(metavar="MODEL|RUN", help="A network of the zoo, or a run folder.")
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="Side in pixels; the paper's or the run's by default.")] = None,
    in_channels: Annotated[int | None, typer.Option(help="Channels of the pictures.")] = None,
    num_classes: Annotated[int | None, typer.Option(help="Number of classes.")] = None,
    option: ModelOption = None,
    formulas: Annotated[bool, typer.Option("--formulas", help="Print what each count is the product of.")] = False,
    diagram: Annotated[Path | None, typer.Option(help="Draw the network into this SVG file.")] = None,
    latency: Annotated[bool, typer.Option("--latency", help="Time it on this machine, too.")] = False,
    batch: Annotated[
        str | None, typer.Option(help="Pictures at a time, for --latency; 1,8,32 by default.", metavar="N,N,…")
    ] = None,
    network: Annotated[
        str | None, typer.Option("--network", help="Your own network, as file.py:Class; alone, or with its run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print what a network costs: shapes, parameters, MACs, FLOPs, memory and receptive field, layer by layer."""
    from convlens import workbench

    result = workbench.measure(
        target,
        image_size=image_size,
        in_channels=in_channels,
        num_classes=num_classes,
        model_options=model_options(option),
        latency=latency,
        batch=whole_numbers("--batch", batch),
        diagram=diagram,
        network=network,
    )
    if as_json:
        return print_json(result)
    (print_formulas if formulas else print_layers)(result)
    print_cost(result)
    if result.latency:
        print_timing(result.latency)
    if result.diagram:
        typer.echo(f"drawn in {result.diagram}")
