"""What `convlens shrink` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convlens.cli.compare_tables import sizes
from convlens.cli.output import console, print_table, share
from convlens.cli.search_tables import print_trials
from convlens.errors import counted

if TYPE_CHECKING:
    from convlens.workbench import ShrinkResult
    from convlens.workbench.compare import Compared
    from convlens.workbench.shrunk import FileAnswers, Shrunk


def print_before_and_after(result: ShrinkResult) -> None:
    """The verdicts first, then the tables."""
    if result.search is not None:
        console().print(result.search.verdict)
    for one in result.shrunk:
        console().print(f"{one.figures.name}: {one.verdict}")
    if result.search is not None:
        print_trials(result.search)
    if result.shrunk:
        print_runs(result)
    for one in result.shrunk:
        for reason in one.stayed:
            console().print(f"{one.figures.name}: channels that stayed: {reason}")
        console().print(f"the run: {one.run}/")
    if result.plot is not None:
        console().print(f"the curve: {result.plot}")


def print_runs(result: ShrinkResult) -> None:
    rows = [(*_row(result.before, result.before_bytes), None, None)]
    for one in result.shrunk:
        rows += _rows_of(one)
    columns = ["", ">px", ">parameters", ">MACs", ">bytes", ">p50 ms", ">p90 ms", ">accuracy", ">95 % interval"]
    columns += [">agrees", ">points"]
    title = f"Before and after, on {counted(result.num_pictures, 'picture')} that no run was trained on"
    print_table(title, columns, rows)
    for one in result.shrunk:
        if one.file is not None:
            console().print(f"the int8 file gives the class of its run for {share(one.file.agreement)} of the pictures")


def _rows_of(one: Shrunk) -> list[tuple[object, ...]]:
    """Of an 8-bit run two: the network as torch runs it, and its file, whose bytes and time they are."""
    row = one.figures
    if one.file is None:
        return [(*_row(row, one.file_bytes), *_beside(one))]
    interval = f"{share(one.file.accuracy_low)} to {share(one.file.accuracy_high)}"
    of_file = (*_times(row), share(one.file.accuracy), interval, *_beside(one.file))
    return [
        (*sizes(row), None, None, None, *_shares(row), *_beside(one)),
        ("its int8 file", *sizes(row)[1:], f"{one.file_bytes:,}", *of_file),
    ]


def _row(row: Compared, file_bytes: int) -> tuple[object, ...]:
    return (*sizes(row), f"{file_bytes:,}", *_times(row), *_shares(row))


def _times(row: Compared) -> tuple[object, ...]:
    return (None, None) if row.latency is None else (f"{row.latency.p50_ms:.3f}", f"{row.latency.p90_ms:.3f}")


def _shares(row: Compared) -> tuple[object, ...]:
    return (share(row.accuracy), f"{share(row.accuracy_low)} to {share(row.accuracy_high)}")


def _beside(one: Shrunk | FileAnswers) -> tuple[object, ...]:
    answers = one.answers
    difference = f"{100 * answers.difference:+.2f} ({100 * answers.low:+.2f} to {100 * answers.high:+.2f})"
    return (share(answers.agreement), difference)
