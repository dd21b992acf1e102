"""From a request to what its endpoint gets: the body read as far as it may be, values checked, pictures decoded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convlens.errors import PictureError
from convlens.server.body import PICTURES, Given, most_bytes, read_body
from convlens.server.checking import checked_fields, from_text
from convlens.server.endpoint import MANY, NONE, Asked, Doc, Endpoint, Unreadable
from convlens.server.refused import Refused
from convlens.server.shelf import Shelf

if TYPE_CHECKING:
    from starlette.requests import Request

RUN = {"type": "string", "maxLength": 500, "description": "the name of a served run; the first one by default"}


def fields_of(doc: Doc) -> dict[str, Any]:
    """All that a call takes but its pictures."""
    return {"run": RUN, **doc.takes}


async def receive(request: Request, most: int, seconds: float, count: Callable[[int], None]) -> bytes:
    """The body, counted while it comes; Refused with 413 for more than `most` bytes, with 408 for a slow one."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > most:
        raise _too_large(most)
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise _too_large(most)
                count(len(part))
                parts.append(part)
    except TimeoutError as error:
        raise Refused(408, f"the body did not come within {seconds:g} seconds; send it faster, or less") from error
    return b"".join(parts)


def asked_of(endpoint: Endpoint, shelf: Shelf, request: Request, body: bytes, deadline: float) -> Asked:
    """Everything that an endpoint gets, in a thread. Raises Refused, and PictureError for a single bad picture."""
    doc, content_type = endpoint.doc, request.headers.get("content-type", "")
    given = read_body(body, content_type, doc, shelf.limits) if endpoint.method == "POST" else Given()
    fields = fields_of(doc)
    query = {name: from_text(text, fields.get(name, {})) for name, text in request.query_params.items()}
    values = checked_fields({**query, **given.values}, fields, doc.required)
    asked = Asked(shelf, {**values, **request.path_params}, request=request, deadline=deadline)
    asked.check_time()
    return asked if doc.pictures == NONE else with_pictures(asked, given, many=doc.pictures == MANY)


def with_pictures(asked: Asked, given: Given, *, many: bool) -> Asked:
    """Decoded and kept. Of several one that cannot be read is listed, a single one is an error."""
    if not given.pictures:
        raise Refused(400, f'no picture came; send one as image/*, as the part "{PICTURES[0]}" of a form, or in JSON')
    served, found, places, unreadable = asked.served, [], [], []
    for place, one in enumerate(given.pictures):
        asked.check_time()
        try:
            found.append(asked.shelf.picture(one) if isinstance(one, str) else asked.shelf.kept.add(one, served))
            places.append(place)
        except PictureError as error:
            if len(given.pictures) == 1:
                raise Refused(422, f"the picture cannot be read: {error.reason}; send another file") from error
            unreadable.append(Unreadable(place, error.reason))
    return replace(asked, pictures=tuple(found), places=tuple(places), unreadable=tuple(unreadable))


def needs_body(endpoint: Endpoint, request: Request, shelf: Shelf) -> int:
    """How many bytes the body of this request may have; Refused with 415 for a type that is not taken."""
    if endpoint.method != "POST":
        return 0
    content_type = request.headers.get("content-type", "")
    if not content_type and request.headers.get("content-length", "0") == "0":
        return 0
    return most_bytes(content_type, shelf.limits)


def _too_large(most: int) -> Refused:
    return Refused(413, f"the body has more than {most:,} bytes; send a smaller picture, or fewer at a time")
