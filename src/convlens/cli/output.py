"""Results on stdout: a table for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def print_json(result: Any) -> None:
    from convlens.workbench import plain

    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    json.dump(plain(result), sys.stdout, indent=2, ensure_ascii=not unicode, allow_nan=False)
    sys.stdout.write("\n")


def console() -> Console:
    """As wide as the terminal; where there is none, wide enough to cut nothing."""
    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 200)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns that begin with ">" are set flush right."""
    table = Table(title=title, title_justify="left", header_style="bold", title_style="bold")
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        table.add_row(*("–" if cell is None else str(cell) for cell in row))
    console().print(table)


def print_facts(title: str, facts: Iterable[tuple[str, Any]]) -> None:
    """Two columns without a head."""
    table = Table(title=title, title_justify="left", show_header=False, title_style="bold")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, "–" if value is None else str(value))
    console().print(table)


def share(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.2f} %"


def count(value: int | None) -> str:
    """1234567 -> "1.23 M"; what is not known is said to be unknown."""
    if value is None:
        return "unknown"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}" if value / size < 1000 else f"{value / size:.0f} {letter}"
    return str(value)
