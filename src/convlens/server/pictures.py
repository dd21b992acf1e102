"""Pictures that were sent, as they came and as the network sees them; thumbnails of the run, and no other file."""

from __future__ import annotations

from typing import Any

from convlens.pictures import png_bytes
from convlens.server.drawn import upright
from convlens.server.endpoint import Asked, Doc
from convlens.server.refused import Refused
from convlens.server.samples import thumbnails_of

SHOWN, SEEN = "shown", "seen"
PICTURE_DOC = Doc(
    "A picture that was sent, as it was given or as the network sees it.",
    takes={"as": {"type": "string", "enum": [SHOWN, SEEN], "default": SHOWN}},
    media="image/png",
)
THUMBNAIL_DOC = Doc("A thumbnail of the run.", media="image/jpeg")


def picture(asked: Asked) -> Any:
    """PNG; upright, the longer side at most 640 pixels, or the network's input size."""
    kept = asked.shelf.picture(asked.values["id"])
    if asked.values["as"] == SHOWN:
        return _picture_response(png_bytes(kept.shown), "image/png")
    return _picture_response(png_bytes(upright(kept.pixels(asked.served))), "image/png")


def thumbnail(asked: Asked) -> Any:
    there = thumbnails_of(asked.served.run)
    name = asked.values["name"]
    if name not in there:
        raise Refused(404, f"the run has no thumbnail {name[:60]!r}; `/v1/run` lists some")
    return _picture_response(there[name].read_bytes(), "image/jpeg")


def _picture_response(data: bytes, media: str) -> Any:
    from starlette.responses import Response

    return Response(data, media_type=media, headers={"Cache-Control": "private, max-age=3600"})
