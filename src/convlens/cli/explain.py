"""`convlens explain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import Json, Network, RunFolder
from convlens.cli.output import print_facts, print_json, print_table, share
from convlens.cli.progress import Bars

EXAMPLE = "convlens explain runs/demo --method filters"


@guarded
def explain(
    run: RunFolder,
    pictures: Annotated[list[str] | None, typer.Argument(help="Files, folders or globs; filters need none.")] = None,
    method: Annotated[str, typer.Option(help="grad_cam, saliency, feature_maps or filters.")] = "grad_cam",
    target: Annotated[
        str | None, typer.Option(help="The class to explain; each picture's predicted one by default.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="A layer by its path, as `convlens measure` lists them.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pictures; the run's explanations/ by default.")
    ] = None,
    sanity: Annotated[bool, typer.Option(help="Check that the map depends on what the network has learned.")] = True,
    network: Network = None,
    as_json: Json = False,
) -> None:
    """Draw why the network says what it says, with a sanity check beside every map."""
    from convlens import workbench

    with Bars() as bars:
        opened = workbench.open_run(run, network)
        result = workbench.explain(
            opened, pictures or [], method=method, target=target, layer=layer, out=out, sanity=sanity, progress=bars
        )
    if as_json:
        print_json(result)
    else:
        if result.pictures:
            rows = [(one.picture, one.target, share(one.probability), one.note) for one in result.pictures]
            print_table(f"{result.method}", ["picture", "explained class", ">probability", "note"], rows)
        facts = [("written to", "\n".join(str(file) for file in result.files)), ("the report", result.report)]
        if result.sanity:
            facts.insert(0, (f"sanity check {result.sanity.badge}", result.sanity.reason))
        print_facts(f"{result.method}" + (f" at {result.layer}" if result.layer else ""), facts)
    for bad in result.unreadable:
        print(f"not read: {bad}", file=sys.stderr)
    if result.unreadable:
        raise typer.Exit(1)
