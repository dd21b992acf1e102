"""`convlens doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import DataDir, Json
from convlens.cli.output import console, print_json, print_table
from convlens.cli.progress import Bars
from convlens.errors import counted

EXAMPLE = "convlens doctor digits"
SHOWN = 5
SEVERITIES = ("error", "warning", "note")  # in the order of the rows


@guarded
def doctor(
    data: Annotated[str | None, typer.Argument(help="A source of pictures to examine as well.")] = None,
    data_dir: DataDir = None,
    all_paths: Annotated[bool, typer.Option("--all", help="Name every picture, not the first five.")] = False,
    as_json: Json = False,
) -> None:
    """Check this machine and, given pictures, find the bad, odd, doubled and leaking ones. Writes nothing."""
    from convlens import workbench

    with Bars() as bars:
        result = workbench.doctor(data, data_dir=data_dir, progress=bars)
    if as_json:
        print_json(result)
    else:
        rows = [(check.name, check.status, check.found, check.remedy) for check in result.machine]
        print_table("This machine", ["what", "status", "found", "remedy"], rows)
        if result.scan is not None:
            _print_scan(result, all_paths)
    if not result.well:
        raise typer.Exit(1)


def _print_scan(result: object, all_paths: bool) -> None:
    from convlens.workbench import DoctorResult

    assert isinstance(result, DoctorResult) and result.scan is not None
    scan = result.scan
    classes = counted(len(result.classes), "class", "classes")
    title = (
        f"{result.data}: {counted(scan.num_pictures, 'picture')} of {classes}, "
        f"{scan.num_unreadable:,} unreadable, seen in {scan.seconds:.1f} s"
    )
    for note in result.notes:
        console().print(note, markup=False)
    rows = []
    for finding in sorted(scan.findings, key=lambda finding: SEVERITIES.index(finding.severity)):
        keys = finding.keys if all_paths else finding.keys[:SHOWN]
        more = f"\n… and {len(finding.keys) - len(keys):,} more (--all)" if len(keys) < len(finding.keys) else ""
        rows.append((finding.severity, finding.kind, finding.message, "\n".join(keys) + more))
    if rows:
        print_table(title, ["", "finding", "what it means", "pictures"], rows)
    else:
        console().print(f"{title}; nothing found", markup=False)
