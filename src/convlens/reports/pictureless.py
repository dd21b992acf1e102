"""Errors whose pictures are not on the page: what a cell of the matrix opens then."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from convlens.reports.confusion import MOST_CELLS, MOST_CLASSES, Pair, pair_heading, pair_id, told_pairs
from convlens.reports.figures import pictures
from convlens.reports.gallery import by_pair
from convlens.reports.markup import Markup, element

MOST_NAMED = 6


def pictureless_pairs(
    evaluation: dict[str, Any], classes: Sequence[str], shown: Collection[Pair]
) -> dict[Pair, list[str]]:
    """The names of the pictures of each (truth, prediction) that the page tells of and has no picture of."""
    listed = by_pair(evaluation.get("errors"), classes)
    pairs = [pair for pair in told_pairs(evaluation, classes) if pair not in shown]
    return {pair: [str(error.get("key", "")) for error in listed.get(pair, ())] for pair in pairs}


def pictureless(
    pairs: Mapping[Pair, Sequence[str]], evaluation: dict[str, Any], classes: Sequence[str], file: str, prefix: str
) -> Markup | None:
    """Each with its number and names; `file` is where all names stand."""
    if not pairs:
        return None
    counts = evaluation["confusion"]
    lead = f"This page has no room for pictures of the other confusions. {file} names their files, the surest first."
    blocks = [
        element(
            "div",
            pair_heading(pair, classes),
            element("p", _told(counts[pair[0]][pair[1]], names)),
            class_="pair", id=pair_id(pair, prefix),
        )
        for pair, names in pairs.items()
    ]  # fmt: skip
    by_cell = MOST_CLASSES < len(classes) <= MOST_CELLS
    lead += " A cell of the matrix opens its own here." if by_cell else ""
    return element(
        "div", element("p", lead, class_="lead"), element("div", blocks, class_="told alone" if by_cell else "told")
    )


def _told(number: int, names: Sequence[str]) -> str:
    if not names:
        return f"{pictures(number)}, not among those that are listed by name"
    named = names[:MOST_NAMED]
    more = f" and {number - len(named):,} more" if number > len(named) else ""
    return f"{pictures(number)}: {', '.join(named)}{more}"
