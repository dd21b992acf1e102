"""What a search under a budget tried, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convlens.cli.compare_tables import sizes
from convlens.cli.output import print_table, share
from convlens.errors import counted

if TYPE_CHECKING:
    from convlens.workbench.tried import Search, Tried


def print_trials(search: Search) -> None:
    rows = [_tried(one) for one in (search.before, *search.trials, *search.finalists)]
    columns = ["", ">px", ">parameters", ">MACs", ">bytes", ">p50 ms", "engine", ">accuracy", ">points", "limits", ">s"]
    judged = counted(search.num_pictures, "picture")
    print_table(
        f"Tried, on the {judged} of the validation part, after {counted(search.epochs, 'epoch')}", columns, rows
    )


def _tried(one: Tried) -> tuple[object, ...]:
    row, met = one.figures, ", ".join(one.misses) or "kept"
    costs = (f"{one.size_bytes:,}", f"{one.latency.p50_ms:.3f} ± {one.latency.doubt:.0%}", one.engine)
    return (*sizes(row), *costs, share(row.accuracy), f"{100 * (0 - one.accuracy_loss):+.2f}", met, one.seconds or None)
