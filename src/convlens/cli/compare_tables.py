"""What `convlens compare` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convlens.cli.output import console, count, print_table, share
from convlens.errors import counted

if TYPE_CHECKING:
    from convlens.workbench import CompareResult
    from convlens.workbench.compare import Compared


def print_rows(result: CompareResult) -> None:
    timed = result.cost == "ms"
    rows = [(*_row(row), *([_ms(row)] if timed else []), "*" if row.on_front else "") for row in result.rows]
    columns = ["", ">px", ">parameters", ">MACs", ">weights", ">accuracy", ">95 % interval"]
    columns += [*([">p50 ms"] if timed else []), "front"]
    print_table(f"{len(rows)} side by side; front: nothing is as accurate and cheaper ({result.cost})", columns, rows)
    told: dict[str, list[str]] = {}
    for row in result.rows:
        if row.source:
            told.setdefault(f"{row.judged_on}; {row.source}", []).append(row.name)
    for text, names in told.items():
        console().print(f"accuracy of {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {text}")


def _row(row: Compared) -> tuple[object, ...]:
    interval = None
    if row.accuracy_low is not None:
        interval = f"{share(row.accuracy_low)} to {share(row.accuracy_high)}"
    size = "×".join(str(side) for side in dict.fromkeys(row.image_size))
    macs = count(row.macs) if row.complete else f"≥ {count(row.macs)}"
    counts = (f"{row.parameters:,}", macs, f"{row.weight_bytes / 1e6:.2f} MB")
    return (row.name, size, *counts, share(row.accuracy), interval)


def _ms(row: Compared) -> str | None:
    return None if row.latency is None else f"{row.latency.p50_ms:.2f} (noise {100 * row.latency.noise:.0f} %)"


def print_grid(result: CompareResult) -> None:
    """Width by resolution, as in tables 6 and 7 of MobileNet v1, for each network that comes in several of both."""
    names = dict.fromkeys(row.name.split(" ")[0] for row in result.rows)
    for name in names:
        rows = [row for row in result.rows if row.name.split(" ")[0] == name]
        widths = sorted({row.width for row in rows}, reverse=True)
        sides = sorted({row.image_size[0] for row in rows}, reverse=True)
        if len(widths) < 2 or len(sides) < 2:
            continue
        found = {(row.width, row.image_size[0]): row for row in rows}
        cells = [[f"{width:g}", *(_cell(found.get((width, side))) for side in sides)] for width in widths]
        title = f"{name}: million MACs, top-1, by width and resolution"
        print_table(title, ["width", *(f">{side} px" for side in sides)], cells)


def _cell(row: Compared | None) -> str | None:
    if row is None:
        return None
    return f"{row.macs / 1e6:.0f}" + (f"  {100 * row.accuracy:.1f} %" if row.accuracy is not None else "")


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
