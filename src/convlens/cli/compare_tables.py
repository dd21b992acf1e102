"""What `convlens compare` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convlens.cli.output import console, count, print_table, share
from convlens.errors import counted

if TYPE_CHECKING:
    from convlens.workbench import CompareResult
    from convlens.workbench.compare import Compared


def print_rows(result: CompareResult) -> None:
    timed, packed = result.cost == "ms", any(map(_is_packed, result.rows))
    rows = [(*_row(row, packed), *([_ms(row)] if timed else []), "*" if row.on_front else "") for row in result.rows]
    columns = ["", ">px", ">parameters", ">MACs", ">weights", *([">file"] if packed else []), ">accuracy"]
    columns += [">95 % interval", *([">p50 ms"] if timed else []), "front"]
    print_table(f"{len(rows)} side by side; front: nothing is as accurate and cheaper ({result.cost})", columns, rows)
    told: dict[str, list[str]] = {}
    for row in result.rows:
        if row.source:
            told.setdefault(f"{row.judged_on}; {row.source}", []).append(row.name)
    for text, names in told.items():
        console().print(f"accuracy of {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {text}")


def _is_packed(row: Compared) -> bool:
    """Are its weights stored in fewer bytes than they have in memory?"""
    return row.file_bytes is not None and row.file_bytes < row.weight_bytes


def _row(row: Compared, packed: bool) -> tuple[object, ...]:
    interval = None
    if row.accuracy_low is not None:
        interval = f"{share(row.accuracy_low)} to {share(row.accuracy_high)}"
    stored = (_megabytes(row.weight_bytes), *([_megabytes(row.file_bytes)] if packed else []))
    return (*sizes(row), *stored, share(row.accuracy), interval)


def sizes(row: Compared) -> tuple[object, ...]:
    """Name, side in pixels, parameters, MACs."""
    size = "×".join(str(side) for side in dict.fromkeys(row.image_size))
    macs = count(row.macs) if row.complete else f"≥ {count(row.macs)}"
    return (row.name, size, f"{row.parameters:,}", macs)


def _megabytes(size_bytes: int | None) -> str | None:
    return None if size_bytes is None else f"{size_bytes / 1e6:.2f} MB"


def _ms(row: Compared) -> str | None:
    return None if row.latency is None else f"{row.latency.p50_ms:.2f} (noise {100 * row.latency.noise:.0f} %)"


def print_pairs(result: CompareResult) -> None:
    rows = []
    for pair in result.pairs:
        one = pair.answers
        verdict = "cannot be told apart"
        if one.told_apart:
            verdict = f"{pair.second if one.difference > 0 else pair.first} is better"
        counts = (share(one.agreement), one.only_first_right, one.only_second_right, f"{one.p_value:.3g}")
        difference = f"{100 * one.difference:+.2f} ({100 * one.low:+.2f} to {100 * one.high:+.2f})"
        rows.append((pair.first, pair.second, *counts, difference, verdict))
    if rows:
        columns = ["first", "second", ">agree", ">only first right", ">only second right", ">McNemar's p"]
        columns += [">second - first, points", "so"]
        print_table(f"In pairs, on the same {counted(result.num_pictures, 'picture')}", columns, rows)
    for first, second in result.same_speed:
        console().print(f"{first} and {second}: their latencies cannot be told apart")
