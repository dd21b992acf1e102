"""Precision, recall and F1 of each class, the weakest first when there are many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlens.errors import counted
from convlens.reports.confusion import MOST_CLASSES, class_id
from convlens.reports.figures import MISSING, count, percent, pictures
from convlens.reports.markup import Content, Markup, bar, element, section, table

HEAD = ["class", "precision", "recall", "F1", "pictures"]


def classes_section(evaluation: dict[str, Any], prefix: str) -> Markup | None:
    scores = evaluation.get("per_class")
    if not scores:
        return None
    lead: str | None = None
    shown = [one for one in scores if one["support"]]
    if len(shown) > 1:
        weakest = min(shown, key=lambda s: s["f1"])
        lead = f"Weakest: “{weakest['name']}”, F1 {percent(weakest['f1'])} on {pictures(weakest['support'])}."
    if len(scores) <= MOST_CLASSES:
        return section("Classes", _table(scores, prefix), id_=f"{prefix}classes", lead=lead)
    ordered = sorted(scores, key=lambda s: (s["f1"], s["name"]))
    rest = ordered[MOST_CLASSES:]
    more = element("details", element("summary", f"the other {counted(len(rest), 'class', 'classes')}"), _table(rest))
    return section("Classes", _table(ordered[:MOST_CLASSES]), more, id_=f"{prefix}classes", lead=lead)


def _table(scores: Sequence[dict[str, Any]], prefix: str | None = None) -> Markup:
    """With a prefix in the order of the classes, each of which a cell of the matrix leads to."""
    ids = [None if prefix is None else class_id(number, prefix) for number in range(len(scores))]
    return table(HEAD, map(_row, scores, ids))


def _row(score: dict[str, Any], id_: str | None) -> list[Content]:
    """A class without a picture has no recall, and so no F1."""
    known = score["support"] > 0
    f1 = [percent(score["f1"]), bar(score["f1"])] if known else MISSING
    return [
        element("td", score["name"], id=id_),
        percent(score["precision"]),
        percent(score["recall"]) if known else MISSING,
        f1,
        count(score["support"]),
    ]
