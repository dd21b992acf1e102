"""`convlens create`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.named_values import model_options
from convlens.cli.options import Json, ModelOption, numbers
from convlens.cli.output import print_facts, print_json, share
from convlens.cli.progress import Bars

EXAMPLE = "convlens create lenet5 --out runs/fresh-lenet5"


@guarded
def create(
    model: Annotated[str, typer.Argument(help="A network of the zoo.")],
    weights: Annotated[
        str | None, typer.Option(help="imagenet, a .safetensors, .npz, .pth, .pt or .th file, or a run.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to put the run; runs/MODEL by default.")] = None,
    classes: Annotated[Path | None, typer.Option(help="Text file of class names, one a line, in output order.")] = None,
    num_classes: Annotated[int | None, typer.Option(help="Number of classes, where they have no names.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side in pixels; the paper's by default.")] = None,
    in_channels: Annotated[int | None, typer.Option(help="1 for grey pictures, 3 for colour.")] = None,
    seed: Annotated[int, typer.Option(help="Of fresh weights.")] = 0,
    mean: Annotated[str | None, typer.Option(help="That the pictures were normalised with: 0.485,0.456,0.406.")] = None,
    std: Annotated[str | None, typer.Option(help="The deviation, for pixels in 0 to 1: 0.229,0.224,0.225.")] = None,
    option: ModelOption = None,
    as_json: Json = False,
) -> None:
    """Make a run from a network and weights that exist already."""
    from convlens import workbench

    with Bars() as bars:
        result = workbench.create(
            model,
            weights=weights,
            out=out,
            classes=classes,
            num_classes=num_classes,
            image_size=image_size,
            in_channels=in_channels,
            seed=seed,
            mean=numbers("--mean", mean),
            std=numbers("--std", std),
            model_options=model_options(option),
            progress=bars,
            tell=bars.tell,
        )
    if as_json:
        return print_json(result)
    facts = [("run", result.run), ("parameters", f"{result.parameters:,}"), ("classes", result.num_classes)]
    facts.append(("pictures", "{} × {} px".format(*result.image_size)))
    if result.published_top1 is not None:
        facts.append(("published top-1 of this network", share(result.published_top1)))
    print_facts(f"{result.model}, weights: {result.weights}", facts)
