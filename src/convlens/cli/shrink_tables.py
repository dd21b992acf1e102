"""What `convlens shrink` prints: the verdict, both runs in a table, and how their answers differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convlens.cli.output import console, count, print_table, share

if TYPE_CHECKING:
    from convlens.workbench import ShrinkResult
    from convlens.workbench.shrunk import Size


def print_shrunk(result: ShrinkResult) -> None:
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
