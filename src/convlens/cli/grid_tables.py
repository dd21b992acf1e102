"""Widths by resolutions, as the papers print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convlens.cli.output import print_table

if TYPE_CHECKING:
    from convlens.workbench import CompareResult
    from convlens.workbench.compare import Compared


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
