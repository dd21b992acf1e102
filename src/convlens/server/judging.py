"""`/v1/evaluation`: what `convlens evaluate` found, with the thumbnails behind each cell of the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from shlex import quote
from typing import Any

from convlens.errors import nearest
from convlens.reports.confusion import MOST_CELLS, Pair, worst_pairs
from convlens.reports.gallery import by_pair
from convlens.reports.write import ordered
from convlens.server.endpoint import Asked, Doc
from convlens.server.evaluating import PROGRESS, can_evaluate, under_way
from convlens.server.refused import Refused
from convlens.server.samples import thumbnails_of
from convlens.server.shelf import ServedRun

MOST_ERRORS = 200  # listed, the surest first
MOST_PAIRS = 200  # listed
MOST_OF_A_CELL = 60

Evaluation = dict[str, Any]

TEXT, LIST = ({"type": kind} for kind in ("string", "array"))
EVALUATION_DOC = Doc(
    "The scores of a run on pictures that it was not trained on, as `convlens evaluate` left them.",
    takes={"name": {**TEXT, "maxLength": 500, "description": "one of `names`; the run's own test part by default"}},
    answer={
        "run": TEXT,
        "names": {**LIST, "description": "all evaluations of the run"},
        "remedy": {**TEXT, "description": "where there is none: what to do; all else is empty then"},
        "name": TEXT,
        "part": TEXT,
        "accuracy": {"type": ["number", "null"]},
        "interval": LIST,
        "num_pictures": {"type": ["integer", "null"]},
        "num_errors": {"type": "integer"},
        "classes": LIST,
        "confusion": {"type": ["array", "null"], "description": "rows are the truth; null for more than 100 classes"},
        "pairs": {**LIST, "description": "the confusions, the most frequent first"},
        "cells": {"type": "object", "description": 'the pictures of "truth,prediction", the surest first'},
        "errors": {**LIST, "description": "the surest errors"},
        "calibration": {"type": ["object", "null"]},
        "per_class": LIST,
        "robustness": LIST,
        "beside": {"type": ["object", "null"]},
        "can_evaluate": {"type": "boolean", "description": "the pictures are there: `/v1/evaluate` has them scored"},
        "evaluating": {"type": ["object", "null"], "properties": PROGRESS},
    },
)


def evaluation(asked: Asked) -> dict[str, Any]:
    served = asked.served
    now = {"can_evaluate": can_evaluate(served.run), "evaluating": under_way(served)}
    found = dict(ordered(served.run.evaluations))
    if not found:
        command = f"`convlens evaluate {quote(str(served.run.path))}`"
        remedy = f"{served.name} has not been evaluated; run {command}, then look here again"
        return {"run": served.name, "names": [], "remedy": remedy, "name": "", **_told(served, {}), **now}
    name = asked.values.get("name") or next(iter(found))
    if name not in found:
        raise Refused(404, f"no evaluation is called {name!r:.60}{nearest(name, found)}; there is {', '.join(found)}")
    return {"run": served.name, "names": list(found), "remedy": "", "name": name, **_told(served, found[name]), **now}


def _told(served: ServedRun, one: Evaluation) -> dict[str, Any]:
    classes, matrix = served.run.classes, one.get("confusion") or []
    shown = matrix if len(matrix) == len(classes) <= MOST_CELLS else None
    cards = Cards(served)
    wrong, right = by_pair(one.get("errors"), classes), by_pair(one.get("recognised"), classes)
    return {
        "part": one.get("part", ""),
        "tta": one.get("tta", "none"),
        "accuracy": one.get("accuracy"),
        "interval": [one.get("accuracy_low"), one.get("accuracy_high")],
        "num_pictures": one.get("num_pictures"),
        "num_errors": one.get("num_errors", sum(map(len, wrong.values()))),
        "classes": classes,
        "confusion": shown,
        "pairs": list(_pairs(matrix)) if len(matrix) == len(classes) else [],
        "cells": {f"{t},{p}": cards.of((t, p), judged) for (t, p), judged in {**wrong, **right}.items()},
        "errors": cards.surest(wrong),
        "calibration": _calibration(one),
        "per_class": one.get("per_class") or [],
        "robustness": one.get("robustness") or [],
        "beside": one.get("beside"),
    }


def _pairs(matrix: Sequence[Sequence[int]]) -> Iterator[dict[str, Any]]:
    for truth, predicted in worst_pairs(matrix)[:MOST_PAIRS]:
        yield {
            "truth": truth,
            "predicted": predicted,
            "count": matrix[truth][predicted],
            "of": sum(matrix[truth]),
        }


def _calibration(one: Evaluation) -> dict[str, Any] | None:
    if not one.get("calibration_bins"):
        return None
    return {
        "bins": one["calibration_bins"],
        "ece": one.get("expected_calibration_error"),
        "untempered": one.get("untempered_calibration_error"),
        "temperature": one.get("temperature"),
    }


class Cards:
    """Judged pictures as a page shows them; a thumbnail has an address where the run has its file."""

    def __init__(self, served: ServedRun) -> None:
        self._served, self._classes, self._there = served, served.run.classes, thumbnails_of(served.run)

    def of(self, pair: Pair, judged: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [self._card(pair, one) for one in judged[:MOST_OF_A_CELL]]

    def surest(self, groups: Mapping[Pair, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
        cards = [self._card(pair, one) for pair, judged in groups.items() for one in judged]
        return sorted(cards, key=lambda card: -(card["probability"] or 0))[:MOST_ERRORS]

    def _card(self, pair: Pair, one: Mapping[str, Any]) -> dict[str, Any]:
        name = PurePosixPath(one.get("thumbnail") or "").name
        return {
            "url": self._served.thumbnail_address(name) if name in self._there else None,
            "key": str(one.get("key", "")),
            "label": self._classes[pair[0]],
            "predicted": self._classes[pair[1]],
            "probability": one.get("confidence"),
        }
