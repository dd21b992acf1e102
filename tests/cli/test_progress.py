"""Progress on a terminal."""

from __future__ import annotations

from rich.console import Console

from convlens.cli.progress import Bars


def test_a_name_in_brackets_is_shown_as_it_is():
    bars = Bars()
    bars.terminal = True
    bars("unpack", 1, 2, "pets [bold].zip")
    console = Console(width=100)
    with console.capture() as shown:
        console.print(bars._bars.get_renderable())
    assert "pets [bold].zip" in shown.get()
