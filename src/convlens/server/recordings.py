"""Every number that a served network computed for the last pictures."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import torch

from convlens.arithmetic import Recording, record_values
from convlens.server.inside import inside
from convlens.server.limits import Limits

if TYPE_CHECKING:
    from convlens.server.kept import KeptPicture
    from convlens.server.shelf import ServedRun

KEPT_BYTES = 512 << 20  # of all recordings of a server together, which are no more than the pictures it keeps


class Recordings:
    """Of the last pictures, for all runs of a server together."""

    def __init__(self, most_bytes: int = KEPT_BYTES, most: int = Limits.kept_pictures) -> None:
        self._most_bytes, self._most = most_bytes, most
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[ServedRun, str], Recording] = OrderedDict()

    def of(self, served: ServedRun, picture: KeptPicture) -> Recording:
        """That of this picture, made where it is not kept."""
        key = (served, picture.id)  # another run may come under the same name
        if (known := self._known(key)) is not None:
            return known
        with served.lock:  # whoever waits for the same one finds it
            if (known := self._known(key)) is not None:
                return known
            graph = inside(served).graph
            pixels = torch.tensor(picture.pixels(served))[None]
            recording = record_values(served.model, served.run.preprocess.normalise(pixels), graph=graph)
            self._keep(key, recording)
            return recording

    @property
    def num_bytes(self) -> int:
        with self._lock:
            return self._sum()

    def _known(self, key: tuple[ServedRun, str]) -> Recording | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: tuple[ServedRun, str], recording: Recording) -> None:
        with self._lock:
            self._kept[key] = recording
            while self._kept and (len(self._kept) > self._most or self._sum() > self._most_bytes):
                self._kept.popitem(last=False)

    def _sum(self) -> int:
        return sum(recording.size_bytes for recording in self._kept.values())
