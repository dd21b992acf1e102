"""The last answers that took long to find, each found once however many ask for it at the same time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from convlens.server.shelf import ServedRun

Found = TypeVar("Found")


class Recent(Generic[Found]):
    """At most `most` of them; the longest unasked goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Found] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def known(self, key: Hashable) -> Found | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: Hashable, found: Found) -> Found:
        with self._lock:
            self._kept[key] = found
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found

    def get(self, key: Hashable, find: Callable[[], Found], turn: threading.RLock) -> Found:
        """Known, or found now, while `turn` is held: who waited for it meanwhile finds it known."""
        if (found := self.known(key)) is not None:
            return found
        with turn:
            found = self.known(key)
            return self.keep(key, find()) if found is None else found


def recent(served: ServedRun, name: str, most: int) -> Recent[Any]:
    """What is kept of a run under that name."""
    found: Recent[Any] = served.once(name, lambda: Recent(most))
    return found
