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
    numbered = list(enumerate(scores))
    if len(scores) <= MOST_CLASSES:
        return section("Classes", _table(numbered, prefix), id_=f"{prefix}classes", lead=lead)
    ordered = sorted(numbered, key=lambda one: (one[1]["f1"], one[1]["name"]))
    rest = ordered[MOST_CLASSES:]
    summary = element("summary", f"the other {counted(len(rest), 'class', 'classes')}")
    more = element("details", summary, _table(rest, prefix))
    return section("Classes", _table(ordered[:MOST_CLASSES], prefix), more, id_=f"{prefix}classes", lead=lead)


def _table(numbered: Sequence[tuple[int, dict[str, Any]]], prefix: str) -> Markup:
    """Of classes with their numbers, by which a cell of the matrix leads to them."""
    return table(HEAD, (_row(score, class_id(number, prefix)) for number, score in numbered))


def _row(score: dict[str, Any], id_: str) -> list[Content]:
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
