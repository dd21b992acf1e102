"""What `convlens shrink` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convlens.cli.output import console, count, print_table, share
from convlens.errors import counted

if TYPE_CHECKING:
    from convlens.workbench import ShrinkResult
    from convlens.workbench.compare import Compared


def print_before_and_after(result: ShrinkResult) -> None:
    """The verdicts first, then the table."""
    for one in result.shrunk:
        console().print(f"{one.figures.name}: {one.verdict}")
    rows = [(*_row(result.before, result.before_bytes), None, None)]
    for one in result.shrunk:
        answers = one.answers
        difference = f"{100 * answers.difference:+.2f} ({100 * answers.low:+.2f} to {100 * answers.high:+.2f})"
        rows.append((*_row(one.figures, one.file_bytes), share(answers.agreement), difference))
    columns = ["", ">px", ">parameters", ">MACs", ">bytes", ">p50 ms", ">p90 ms", ">accuracy", ">95 % interval"]
    columns += [">agrees", ">points"]
    title = f"Before and after, on {counted(result.num_pictures, 'picture')} that no run was trained on"
    print_table(title, columns, rows)
    for one in result.shrunk:
        for reason in one.stayed:
            console().print(f"{one.figures.name}: channels that stayed: {reason}")
        console().print(f"the run: {one.run}/")
    if result.plot is not None:
        console().print(f"the curve: {result.plot}")


def _row(row: Compared, file_bytes: int) -> tuple[object, ...]:
    size = "×".join(str(side) for side in dict.fromkeys(row.image_size))
    macs = count(row.macs) if row.complete else f"≥ {count(row.macs)}"
    times = (None, None) if row.latency is None else (f"{row.latency.p50_ms:.3f}", f"{row.latency.p90_ms:.3f}")
    interval = f"{share(row.accuracy_low)} to {share(row.accuracy_high)}"
    return (row.name, size, f"{row.parameters:,}", macs, f"{file_bytes:,}", *times, share(row.accuracy), interval)
