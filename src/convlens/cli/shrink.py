"""`convlens shrink`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import DataDir, Json, Network, RunFolder
from convlens.cli.output import console, count, print_json, print_table, share
from convlens.cli.progress import Bars

if TYPE_CHECKING:
    from convlens.workbench import ShrinkResult
    from convlens.workbench.shrunk import Size

EXAMPLE = "convlens shrink runs/demo --prune 0.5 --epochs 2"


@guarded
def shrink(
    run: RunFolder,
    data: Annotated[str | None, typer.Argument(help="The run's own pictures, where they have moved.")] = None,
    prune: Annotated[float, typer.Option(help="Share of the channels to remove.")] = 0.5,
    target: Annotated[str, typer.Option(help="What the share is of: channels or macs.")] = "channels",
    spread: Annotated[str, typer.Option(help="The same share of each layer, uniform, or global.")] = "uniform",
    importance: Annotated[str, typer.Option(help="By the size of weights, or of batch norm's scales.")] = "weights",
    multiple: Annotated[int, typer.Option(help="Keep multiples of so many channels, such as 8.")] = 1,
    least: Annotated[int, typer.Option(help="Channels that every layer keeps.")] = 1,
    epochs: Annotated[int | None, typer.Option(help="Of fine-tuning; a quarter of a training's by default.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of fine-tuning; a quarter by default.")] = None,
    seed: Annotated[int, typer.Option(help="All random draws follow from it.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the new run; runs/NAME-pruned by default.")] = None,
    data_dir: DataDir = None,
    network: Network = None,
    as_json: Json = False,
) -> None:
    """Make a smaller run of a run: channels removed for good, what is left fine-tuned, both measured."""
    from convlens import workbench

    with Bars() as bars:
        result = workbench.shrink(
            run, data, prune=prune, target=target, spread=spread, importance=importance, multiple=multiple, least=least,
            epochs=epochs, learning_rate=learning_rate, seed=seed, out=out, data_dir=data_dir, network=network,
            progress=bars, tell=bars.tell,
        )  # fmt: skip
    if as_json:
        return print_json(result)
    _print(result)


def _print(result: ShrinkResult) -> None:
    console().print(result.verdict)
    rows = [("before", *_row(result.before)), ("after", *_row(result.after))]
    columns = ["", ">parameters", ">MACs", ">weights", ">p50 ms", ">p90 ms", ">accuracy", ">95 % interval"]
    print_table(f"{result.name}: fine-tuned for {result.epochs:g} epochs in {result.seconds:.0f} s", columns, rows)
    if result.answers is not None:
        told = "" if result.answers.told_apart else ", which cannot be told apart"
        difference = f"{100 * result.answers.difference:+.2f} points{told}"
        same = f"the same answer to {share(result.answers.agreement)} of {result.num_pictures:,} pictures"
        console().print(f"{same}; accuracy {difference}")
    for reason in result.stayed:
        console().print(f"channels that stayed: {reason}")
    console().print(f"the run: {result.run}/  the report: {result.report}")


def _row(size: Size) -> tuple[object, ...]:
    interval = None if size.accuracy is None else f"{share(size.accuracy_low)} to {share(size.accuracy_high)}"
    times = (f"{size.latency.p50_ms:.3f}", f"{size.latency.p90_ms:.3f}")
    return (
        f"{size.parameters:,}",
        count(size.macs),
        f"{size.weight_bytes / 1e6:.3f} MB",
        *times,
        share(size.accuracy),
        interval,
    )
