"""`convlens shrink`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import DataDir, Json, Network, RunFolder
from convlens.cli.output import print_json
from convlens.cli.progress import Bars
from convlens.cli.shrink_tables import print_shrunk
from convlens.errors import UsageError

EXAMPLE = "convlens shrink runs/demo --prune 0.5 --epochs 2"
BITS = "Weights of a convolution share 2^BITS values, packed as in Deep Compression."
EPOCHS = "Of fine-tuning: after pruning a quarter of a training's by default, else none."


@guarded
def shrink(
    run: RunFolder,
    data: Annotated[str | None, typer.Argument(help="The run's own pictures, where they have moved.")] = None,
    prune: Annotated[float | None, typer.Option(help="Share of the channels to remove; 0.5 by default.")] = None,
    quantise: Annotated[str | None, typer.Option(help="int8: weights and arithmetic in 8 bits.")] = None,
    cluster: Annotated[int | None, typer.Option(help=BITS, metavar="BITS")] = None,
    sparsity: Annotated[float, typer.Option(help="With --cluster, the share of weights that become zero.")] = 0.0,
    target: Annotated[str, typer.Option(help="What the share is of: channels or macs.")] = "channels",
    spread: Annotated[str, typer.Option(help="The same share of each layer, uniform, or global.")] = "uniform",
    importance: Annotated[str, typer.Option(help="By the size of weights, or of batch norm's scales.")] = "weights",
    multiple: Annotated[int, typer.Option(help="Keep multiples of so many channels, such as 8.")] = 1,
    least: Annotated[int, typer.Option(help="Channels that every layer keeps.")] = 1,
    epochs: Annotated[int | None, typer.Option(help=EPOCHS)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of fine-tuning.")] = None,
    seed: Annotated[int, typer.Option(help="All random draws follow from it.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the new run; runs/NAME-pruned, -int8 or -clustered by default.")
    ] = None,
    data_dir: DataDir = None,
    network: Network = None,
    as_json: Json = False,
) -> None:
    """Make a smaller run of a run: by fewer channels, by 8 bits, or by weights that share values; both measured."""
    from convlens import workbench

    if sum(asked is not None for asked in (prune, quantise, cluster)) > 1:
        raise UsageError("one of --prune, --quantise and --cluster at a time; shrink the run that comes out again")
    if quantise not in (None, "int8"):
        raise UsageError(f"--quantise is {quantise!r}; expected int8")
    tuned = {"epochs": epochs, "learning_rate": learning_rate}
    given: dict[str, Any] = {name: value for name, value in tuned.items() if value is not None}
    with Bars() as bars:
        told: dict[str, Any] = {"data_dir": data_dir, "network": network, "progress": bars, "tell": bars.tell}
        given |= {"seed": seed, "out": out}
        if quantise:
            result = workbench.quantise(run, data, **given, **told)
        elif cluster is not None:
            result = workbench.cluster(run, data, bits=cluster, sparsity=sparsity, **given, **told)
        else:
            how: dict[str, Any] = {"target": target, "spread": spread, "importance": importance, "multiple": multiple}
            how |= {"prune": 0.5 if prune is None else prune, "least": least}
            result = workbench.shrink(run, data, **how, **given, **told)
    print_json(result) if as_json else print_shrunk(result)
