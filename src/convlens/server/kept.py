"""Pictures that were sent: the last few are kept, so that a page asks about one again by its id alone."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from convlens.pictures import claimed_size, decode
from convlens.server.decoding import decoded
from convlens.server.limits import Limits
from convlens.server.refused import Refused

if TYPE_CHECKING:
    from convlens.server.shelf import ServedRun

LONGEST_SHOWN = 640  # pixels of the longer side
SHOWN_BYTES = 3 * LONGEST_SHOWN * LONGEST_SHOWN


def id_of(data: bytes) -> str:
    """Half of the digest: 32 hex digits."""
    return hashlib.sha256(data).hexdigest()[:32]


class KeptPicture:
    """A picture by the bytes it came as; all else is made of them when it is first asked for.

    `width` and `height` are those of the upright picture. Raises PictureError where it cannot be read.
    """

    def __init__(self, data: bytes, served: ServedRun) -> None:
        self.id, self.data = id_of(data), data
        self._lock = threading.Lock()
        self._claimed = claimed_size(data)
        self.height = self.width = 0
        self._pixels = {served.name: decoded(self._claimed, lambda: self._fitted(served))}

    def pixels(self, served: ServedRun) -> np.ndarray:
        """uint8 (C, H, W) of the network's size, just as `convlens predict` makes it of the file."""
        with self._lock:
            if served.name not in self._pixels:
                self._pixels[served.name] = decoded(self._claimed, lambda: self._fitted(served))
            return self._pixels[served.name]

    @cached_property
    def shown(self) -> np.ndarray:
        """uint8 (H, W) or (H, W, 3), the longer side at most 640."""
        return decoded(self._claimed, self._reduced)

    @property
    def num_bytes(self) -> int:
        """At most, with what is made of it later."""
        return len(self.data) + SHOWN_BYTES + sum(pixels.nbytes for pixels in self._pixels.values())

    def _fitted(self, served: ServedRun) -> np.ndarray:
        picture = decode(self.data, short_side=served.run.preprocess.decode_side)
        self.height, self.width = self._upright_size(picture)
        return served.run.preprocess.pixels(picture)

    def _reduced(self) -> np.ndarray:
        image = Image.fromarray(decode(self.data, short_side=LONGEST_SHOWN))
        image.thumbnail((LONGEST_SHOWN, LONGEST_SHOWN), Image.Resampling.BILINEAR)
        return np.asarray(image)

    def _upright_size(self, picture: np.ndarray) -> tuple[int, int]:
        """(H, W) at full size: a large JPEG was decoded smaller, and an icon may be larger than it claims."""
        height, width = picture.shape[:2]
        if min(height, width) >= min(self._claimed):
            return height, width
        short, long = sorted(self._claimed)
        return (long, short) if height > width else (short, long)


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
            return self._sum()

    def add(self, data: bytes, served: ServedRun) -> KeptPicture:
        """The picture of these bytes, decoded for that run; raises PictureError."""
        if (known := self.find(id_of(data))) is not None:
            return known
        picture = KeptPicture(data, served)
        with self._lock:
            self._kept[picture.id] = picture
            while len(self._kept) > 1 and (
                len(self._kept) > self._limits.kept_pictures or self._sum() > self._limits.kept_bytes
            ):
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

    def _sum(self) -> int:
        return sum(picture.num_bytes for picture in self._kept.values())
