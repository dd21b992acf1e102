"""`convlens zoo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import Json
from convlens.cli.output import console, count, print_facts, print_json, print_table, share
from convlens.errors import counted

if TYPE_CHECKING:
    from convlens.workbench.zoo import ZooCard, ZooRow

EXAMPLE = "convlens zoo 'mobilenet_*' --sort macs"
COLUMNS = ("network", ">year", ">px", ">parameters", ">MACs", ">depth", ">field", ">top-1", "on", "options", "paper")
WIDE, BAR = 150, 24  # columns of a terminal that has room for the last two; characters of the widest feature map


@guarded
def zoo(
    pattern: Annotated[str, typer.Argument(help="A name (its card), a family, or a pattern such as 'resnet*'.")] = "*",
    sort: Annotated[
        str, typer.Option(help="name, year, parameters, macs, depth, receptive_field or top1.", metavar="COLUMN")
    ] = "year",
    as_json: Json = False,
) -> None:
    """List the networks with year, paper, parameters, MACs and receptive field; show the card of one."""
    from convlens import workbench

    result = workbench.zoo(pattern, sort=sort)
    if as_json:
        return print_json(result)
    shown = len(COLUMNS) if console().width >= WIDE else -2
    print_table(
        f"{counted(len(result.networks), 'network')}; depth: convolutions and Linear layers on the longest way, gates "
        "included; field: receptive field of the last map, without gates; top-1: published, * not of one crop",
        COLUMNS[:shown],
        [_row(row)[:shown] for row in result.networks],
    )
    if result.card is not None:
        _print_card(result.networks[0], result.card)


def _row(row: ZooRow) -> tuple[object, ...]:
    counts = (f"{row.parameters:,}", count(row.macs), row.depth)
    field = f"{row.receptive_field} px" if row.receptive_field else None
    data_set = f"{row.data_set}{'' if row.protocol in ('test part', '1 crop') else '*'}" if row.top1 else None
    rest = (", ".join(row.options), f"{row.authors}: {row.paper}")
    return (row.name, row.year, row.resolution, *counts, field, share(row.top1), data_set, *rest)


def _sources(row: ZooRow, card: ZooCard) -> list[tuple[str, str | None]]:
    gates = ", and the whole picture through its gates" if row.gated else ""
    field = f"{row.receptive_field} px through convolutions and poolings{gates}" if row.receptive_field else None
    shares = ", ".join(f"top-{k} {share(value)}" for k, value in ((1, row.top1), (5, row.top5)) if value)
    accuracy = f"{shares} on {row.data_set}, {row.protocol}: {row.accuracy_source}" if shares else None
    weights = f"{card.published_weights} (--weights imagenet)" if card.published_weights else None
    facts = {"parameters, MACs": row.counts_source, "receptive field": field, "accuracy": accuracy}
    return list((facts | {"published weights": weights}).items())


def _print_card(row: ZooRow, card: ZooCard) -> None:
    """The head of the file, the paper's table, and the parts with a bar as wide as their maps."""
    for text in (f"{row.authors} ({row.year}): {row.paper}\n{row.link}", card.about, card.table):
        console().print(text + "\n", markup=False, highlight=False, soft_wrap=True)
    rows = [
        (
            part.path,
            " × ".join(map(str, part.output_shape)),
            "█" * max(1, round(BAR * part.output_shape[-1] / row.resolution)) if len(part.output_shape) == 3 else "",
            f"{part.parameters:,}",
            count(part.macs),
        )
        for part in card.parts
    ]
    print_table("From the picture down", ("part", "output", "width of the maps", ">parameters", ">MACs"), rows)
    print_facts("Where the numbers come from", _sources(row, card))
