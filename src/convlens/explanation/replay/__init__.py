"""A network as the operations that it ran: run again for the part of a picture alone that changes."""

from convlens.explanation.replay.folded import folded
from convlens.explanation.replay.incremental import Incremental, replayable
from convlens.explanation.replay.patches import Patch
from convlens.explanation.replay.recorded import NotRecordedError, Recorded, record
from convlens.explanation.replay.spans import Spans, spanning

__all__ = [
    "Incremental",
    "NotRecordedError",
    "Patch",
    "Recorded",
    "Spans",
    "folded",
    "record",
    "replayable",
    "spanning",
]
