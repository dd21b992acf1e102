"""`convlens demo`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from convlens.cli import STARTED
from convlens.cli.guard import guarded
from convlens.cli.options import Json
from convlens.cli.output import print_facts, print_json, share
from convlens.cli.progress import Bars

EXAMPLE = "convlens demo"


@guarded
def demo(
    out: Annotated[Path, typer.Option(help="Where to put the run.")] = Path("runs/demo"), as_json: Json = False
) -> None:
    """Train on the bundled handwritten digits, score, explain and report: the whole way in seconds."""
    from convlens import workbench

    with Bars() as bars:
        result = workbench.demo(out=out, progress=bars, tell=bars.tell, started=STARTED)
    if as_json:
        return print_json(result)
    low, high = share(result.accuracy_low), share(result.accuracy_high)
    print_facts(
        f"LeNet-5 on handwritten digits, in {result.seconds:.1f} s",
        [
            ("accuracy", f"{share(result.accuracy)} of {result.num_test_pictures} held-out pictures ({low} to {high})"),
            ("the run", f"{result.run}/"),
            ("the report", f"{result.report}  (open it in a browser)"),
            ("an explanation", f"{result.explanation}  (the first digit was read as {result.picture_says})"),
            ("see its filters", f"convlens explain {quote(str(result.run))} --method filters"),
            ("what it costs", f"convlens measure {quote(str(result.run))} --latency"),
            ("your pictures", "convlens train path/to/folder --budget 5m   (one subfolder for each class)"),
            ("all networks", "convlens zoo"),
        ],
    )
