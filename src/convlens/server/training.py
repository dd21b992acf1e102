"""`/v1/training`: a training that is under way, as it is and as it goes on; and how it is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from convlens.explanation.filters import full_columns, shades
from convlens.server.drawn import png_address
from convlens.server.endpoint import Asked, Doc
from convlens.server.refused import Refused
from convlens.server.shelf import Shelf
from convlens.training import Reached, Watch
from convlens.workbench.results import plain

if TYPE_CHECKING:
    from convlens.server.event_stream import Event, EventStream

MOST_LISTENERS = 16
MOST_FILTERS = 64
OF_A_POINT = ("step", "epoch", "loss", "accuracy")
LEAST_SIDE, GAP = 32, 2  # px of a filter, and between two

NUMBER, TEXT, FLAG = ({"type": kind} for kind in ("number", "string", "boolean"))
UNKNOWN = {"type": ["number", "null"]}
STATE: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("name", "phase", "words"), TEXT),
    **dict.fromkeys(("running", "ended", "can_stop", "stopping"), FLAG),
    **dict.fromkeys(("step", "total_steps", "epoch", "epochs", "loss", "accuracy"), UNKNOWN),
    **dict.fromkeys(("images_per_second", "seconds", "seconds_left"), UNKNOWN),
    "history": {"type": "array", "items": {"type": "object"}, "description": "one row an epoch, as in history.jsonl"},
    "points": {"type": "array", "items": {"type": "object"}, "description": "loss and accuracy within epochs"},
    "filters": {"type": ["string", "null"], "description": "of the first layer, as a PNG"},
}
TRAINING_DOC = Doc("The training that is watched.", answer=STATE)
EVENTS_DOC = Doc(
    "The same as events: state at first, then step (four a second at most), epoch, filters and done.",
    media="text/event-stream",
)
STOP_DOC = Doc("Stop after the step at hand, and save: what Ctrl-C does.", answer={"stopping": FLAG})


def training(asked: Asked) -> dict[str, Any]:
    return state_of(watched(asked.shelf))


def stop(asked: Asked) -> dict[str, Any]:
    watch = watched(asked.shelf)
    if watch.ended:
        raise Refused(409, f"the training of {watch.name} has ended; there is nothing to stop")
    watch.stop()
    return {"stopping": True}


def events(asked: Asked) -> EventStream:
    """Refused with 503 where too many listen already."""
    from convlens.server.event_stream import EventStream

    shelf, listener = asked.shelf, Listener(watched(asked.shelf))
    if len(shelf.streams) >= MOST_LISTENERS:
        raise Refused(503, f"{len(shelf.streams)} pages watch already; close one of them", retry_after=5)
    stream = EventStream(listener.news, lambda: listener.has_heard_all or shelf.closing)
    shelf.streams.add(stream)
    return stream


def watched(shelf: Shelf) -> Watch:
    if shelf.training is None:
        raise Refused(404, "no training is watched; start one with `convlens train DATA --serve`")
    return shelf.training


class Listener:
    """What one page has been told of; `news()` is the rest."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._version = self._rows = self._filters = -1
        self._phase = ""
        self._reached: Reached | None = None
        self.has_heard_all = False

    def news(self) -> Iterator[Event]:
        watch = self._watch
        if (version := watch.version) == self._version:
            return
        begins = self._version < 0 or len(watch.rows) < self._rows or watch.phase != self._phase
        self._version, self._phase = version, watch.phase
        rows, reached, drawn, ended = watch.rows, watch.reached, watch.filters_version, watch.ended
        if begins:
            yield "state", state_of(watch)
        else:
            if reached is not self._reached and reached is not None:
                yield "step", _told(reached)
            elif reached is None:
                yield "state", state_of(watch)  # how far it is before the first step
            yield from (("epoch", plain(row)) for row in rows[self._rows :])
            if drawn != self._filters:
                yield "filters", {"filters": filters_address(watch)}
        self._rows, self._reached, self._filters = len(rows), reached, drawn
        if ended:
            self.has_heard_all = True
            yield "done", {"phase": watch.phase, "words": watch.words, "name": watch.name}


def state_of(watch: Watch) -> dict[str, Any]:
    reached = watch.reached
    told = dict.fromkeys(Reached.__dataclass_fields__) if reached is None else _told(reached)
    return {
        "name": watch.name,
        "phase": watch.phase,
        "words": watch.words,
        "running": not watch.ended and watch.phase != "interrupted",
        "ended": watch.ended,
        "can_stop": watch.can_stop and not watch.ended,
        "stopping": watch.stop_asked and not watch.ended,
        **told,
        "history": plain(watch.rows),
        "points": plain([{name: getattr(point, name) for name in OF_A_POINT} for point in watch.points]),
        "filters": filters_address(watch),
    }


def _told(reached: Reached) -> dict[str, Any]:
    told: dict[str, Any] = plain(asdict(reached))
    return told


def filters_address(watch: Watch) -> str | None:
    return None if watch.filters is None else png_address(filters_sheet(watch.filters))


def filters_sheet(filters: np.ndarray) -> np.ndarray:
    """(K, C, h, w) -> uint8 (H, W, 4), the first 64 in rows: in colour where they see colour, else their first plane.

    Every filter has a scale of its own, zero in its middle; between them nothing is drawn.
    """
    chosen = filters[:MOST_FILTERS]
    colour = chosen.shape[1] == 3
    tiles = [shades((one if colour else one[:1]).transpose(1, 2, 0)) for one in chosen]
    height, width = tiles[0].shape[:2]
    times = max(1, -(-LEAST_SIDE // max(height, width)))
    columns = full_columns(len(tiles))
    down, across = height * times + GAP, width * times + GAP
    sheet = np.zeros((-(-len(tiles) // columns) * down - GAP, columns * across - GAP, 4), np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * down, place % columns * across
        there = sheet[top : top + height * times, left : left + width * times]
        there[..., :3] = tile.repeat(times, 0).repeat(times, 1)
        there[..., 3] = 255
    return sheet
