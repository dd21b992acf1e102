"""Pictures that were sent: the last few are kept, so that a page asks about one again by its id alone."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from convlens.pictures import decode, decode_and_inspect
from convlens.server.limits import Limits
from convlens.server.refused import Refused

if TYPE_CHECKING:
    from convlens.pictures import Preprocess
    from convlens.server.shelf import ServedRun

LONGEST_SHOWN = 640  # pixels of the longer side
SHOWN_BYTES = 3 * LONGEST_SHOWN * LONGEST_SHOWN


def id_of(data: bytes) -> str:
    """Half of the digest: 32 hex digits."""
    return hashlib.sha256(data).hexdigest()[:32]


class KeptPicture:
    """A picture by the bytes it came as; all else is made of them when it is first asked for.

    `width` and `height` are those of the upright picture. `pixels(served)` is uint8 (C, H, W) of the network's size,
    just as `convlens predict` makes it of the file. Raises PictureError where it cannot be read.
    """

    def __init__(self, data: bytes, first: ServedRun | None = None) -> None:
        self.id = id_of(data)
        self.data = data
        self._lock = threading.Lock()
        self._pixels: dict[str, np.ndarray] = {}
        side = LONGEST_SHOWN if first is None else first.run.preprocess.decode_side
        picture, facts = decode_and_inspect(data, short_side=side)
        self.width, self.height = facts.width, facts.height
        if first is not None:
            self._pixels[first.name] = first.run.preprocess.pixels(picture)

    def pixels(self, served: ServedRun) -> np.ndarray:
        with self._lock:
            if served.name not in self._pixels:
                self._pixels[served.name] = self._fitted(served.run.preprocess)
            return self._pixels[served.name]

    def _fitted(self, preprocess: Preprocess) -> np.ndarray:
        return preprocess.pixels(decode(self.data, short_side=preprocess.decode_side))

    @cached_property
    def shown(self) -> np.ndarray:
        """uint8 (H, W) or (H, W, 3), the longer side at most 640."""
        image = Image.fromarray(decode(self.data, short_side=LONGEST_SHOWN))
        image.thumbnail((LONGEST_SHOWN, LONGEST_SHOWN), Image.Resampling.BILINEAR)
        return np.asarray(image)

    @property
    def num_bytes(self) -> int:
        """At most, with what is made of it later."""
        return len(self.data) + SHOWN_BYTES + sum(pixels.nbytes for pixels in self._pixels.values())


class KeptPictures:
    """The last ones, by id; safe in threads."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, KeptPicture] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def num_bytes(self) -> int:
        with self._lock:
            return sum(picture.num_bytes for picture in self._kept.values())

    def add(self, data: bytes, served: ServedRun | None = None) -> KeptPicture:
        """The picture of these bytes, decoded for that run; raises PictureError."""
        if (known := self.find(id_of(data))) is not None:
            return known
        picture = KeptPicture(data, served)
        with self._lock:
            self._kept[picture.id] = picture
            while len(self._kept) > self._limits.kept_pictures or self._too_large():
                self._kept.popitem(last=False)
        return picture

    def find(self, name: str) -> KeptPicture | None:
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def get(self, name: str) -> KeptPicture:
        """Refused with 410 where it is not kept."""
        picture = self.find(name)
        if picture is None:
            raise Refused(410, f"the picture {name[:40]!r} is not kept any more; send it again")
        return picture

    def _too_large(self) -> bool:
        return len(self._kept) > 1 and sum(p.num_bytes for p in self._kept.values()) > self._limits.kept_bytes
