"""`convlens shrink`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import DataDir, Json, Network, RunFolder, numbers, whole_numbers
from convlens.cli.output import print_json
from convlens.cli.progress import Bars
from convlens.cli.shrink_tables import print_before_and_after

EXAMPLE = "convlens shrink runs/demo --prune 0.5 --epochs 2 --out runs/pruned"


# fmt: off
@guarded
def shrink(
    run: RunFolder,
    data: Annotated[str | None, typer.Argument(help="Pictures to learn on; by default the run's own.")] = None,
    prune: Annotated[str | None, typer.Option(help="Share of the channels to remove, like 0.5, or several.")] = None,
    width: Annotated[str | None, typer.Option(help="Width of a smaller network of the family, or several.")] = None,
    resolution: Annotated[str | None, typer.Option(help="Side in pixels of smaller pictures, or several.")] = None,
    quantise: Annotated[str | None, typer.Option(help="int8: arithmetic of 8 bits.")] = None,
    cluster: Annotated[int | None, typer.Option(help="Weights share 2^BITS values, packed.", metavar="BITS")] = None,
    sparsity: Annotated[float, typer.Option(help="With --cluster, the share of weights that become zero.")] = 0.0,
    target: Annotated[str, typer.Option(help="What the pruned share is of: channels or macs.")] = "channels",
    spread: Annotated[str, typer.Option(help="The same share of each layer, uniform, or global.")] = "uniform",
    importance: Annotated[str, typer.Option(help="By the size of weights, or of batch norm's scales.")] = "weights",
    multiple: Annotated[int, typer.Option(help="Keep multiples of so many channels, such as 8.")] = 1,
    least: Annotated[int, typer.Option(help="Channels that every layer keeps.")] = 1,
    only: Annotated[str | None, typer.Option(help="Prune layers with such parameters alone: stages.2*.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Times to see each picture, for each new run.")] = None,
    budget: Annotated[str | None, typer.Option(help="Time for each new run, like 5m; of a search, for all.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule.")] = None,
    teach: Annotated[bool, typer.Option(help="Learn from the run's answers too.")] = True,
    latency_ms: Annotated[float | None, typer.Option(help="Search the smallest that takes so long a picture.")] = None,
    max_accuracy_loss: Annotated[float | None, typer.Option(help="Search within such a loss, like 0.01.")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Search within so many bytes of the file.")] = None,
    trials: Annotated[int | None, typer.Option(help="Candidates that a search tries at most, by default 16.")] = None,
    out: Annotated[Path | None, typer.Option(help="The new run, or the folder of several.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw accuracy against latency into this SVG file.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    data_dir: DataDir = None,
    network: Network = None,
    as_json: Json = False,
) -> None:
    """Make smaller runs of a run, and say honestly what became of its accuracy, bytes and time."""
    from convlens import workbench
    with Bars() as bars:
        result = workbench.shrink(
            run, data, prune=numbers("--prune", prune), width=numbers("--width", width),
            resolution=whole_numbers("--resolution", resolution), quantise=quantise, cluster=cluster, sparsity=sparsity,
            target=target, spread=spread, importance=importance, multiple=multiple, least=least, only=only,
            epochs=epochs, budget=budget, learning_rate=learning_rate, teach=teach, latency_ms=latency_ms,
            max_accuracy_loss=max_accuracy_loss, max_bytes=max_bytes, trials=trials, out=out, plot=plot, device=device,
            data_dir=data_dir, network=network, progress=bars, tell=bars.tell)
    if as_json:
        print_json(result)
    else:
        print_before_and_after(result)
    if not result.shrunk:
        raise typer.Exit(1)
