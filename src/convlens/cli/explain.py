"""`convlens explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from convlens.cli.explain_tables import print_explained
from convlens.cli.guard import guarded
from convlens.cli.named_values import method_options
from convlens.cli.options import Json, Network, RunFolder
from convlens.cli.output import print_json
from convlens.cli.progress import Bars

EXAMPLE = "convlens explain runs/demo --method filters"
METHOD = (
    "grad_cam, saliency, occlusion, integrated_gradients, …; several with commas, or all; or feature_maps, filters, "
    "maximise, exciting."
)


@guarded
def explain(
    run: RunFolder,
    pictures: Annotated[list[str] | None, typer.Argument(help="Files, folders or globs.")] = None,
    method: Annotated[str, typer.Option(help=METHOD)] = "grad_cam",
    target: Annotated[str | None, typer.Option(help="The class to explain; the predicted one by default.")] = None,
    layer: Annotated[str | None, typer.Option(help="A layer by its path, as `convlens measure` lists them.")] = None,
    unit: Annotated[int | None, typer.Option(help="A channel of --layer, for maximise and exciting.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the method, like window=15; may be given several times.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="gate: take smooth gates for ReLUs, in guided and deconv.")] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="The map at every layer in turn, as an animation.")] = False,
    out: Annotated[str | None, typer.Option(metavar="PATH", help="Folder for what is drawn; the run's own.")] = None,
    sanity: Annotated[bool, typer.Option(help="Check that the map tells something about the network.")] = True,
    shuffled: Annotated[Path | None, typer.Option(metavar="RUN", help="One of shuffled labels, for the check.")] = None,
    save_arrays: Annotated[bool, typer.Option("--save-arrays", help="Write the maps as .npy too.")] = False,
    network: Network = None,
    as_json: Json = False,
) -> None:
    """Draw why the network says what it says, with a sanity check beside every map."""
    from convlens import workbench

    options = method_options(option, rule)
    with Bars() as bars:
        result = workbench.explain(
            run,
            pictures or [],
            method=method,
            target=target,
            layer=layer,
            unit=unit,
            options=options,
            sweep=sweep,
            out=out,
            sanity=sanity,
            shuffled=shuffled,
            save_arrays=save_arrays,
            network=network,
            progress=bars,
        )
    if as_json:
        print_json(result)
    print_explained(result, quiet=as_json)
    if result.unreadable:
        raise typer.Exit(1)
