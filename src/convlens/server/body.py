"""From bytes to values and pictures: JSON, a form of several parts, or a picture as it is."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from convlens.server.checking import from_text
from convlens.server.endpoint import MANY, NONE, Doc
from convlens.server.limits import Limits
from convlens.server.refused import Refused

PICTURES = ("picture", "pictures")
TAKEN = "application/json, multipart/form-data or image/*"
DEEPEST = 32  # levels of JSON
# A broken form is answered with 400, which is enough said; the parser would write a line of each to stderr.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())
NESTED = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')


@dataclass
class Given:
    """What a request holds: values by name, and pictures as their bytes or as the id of one that is kept."""

    values: dict[str, Any] = field(default_factory=dict)
    pictures: list[bytes | str] = field(default_factory=list)


def media_of(content_type: str) -> str:
    """ "Image/PNG; a=b" -> "image/png"."""
    return content_type.partition(";")[0].strip().lower()


def most_bytes(content_type: str, limits: Limits) -> int:
    """Of a body of this type; Refused with 415 for a type that is not taken."""
    media = media_of(content_type)
    if media == "application/json":
        return limits.json_body
    if media == "multipart/form-data" or re.fullmatch(r"image/[\w.+-]+", media):
        return limits.body
    came = f"Content-Type {content_type!r:.80}" if content_type else "no Content-Type"
    raise Refused(415, f"a body came with {came}; send {TAKEN}")


def read_body(body: bytes, content_type: str, doc: Doc, limits: Limits) -> Given:
    """Refused with 400 or 413 for what is not as its type says."""
    media = media_of(content_type)
    if not body:
        return Given()
    if media == "application/json":
        return _from_json(body, doc, limits)
    if doc.pictures == NONE:
        raise Refused(415, f"this call takes no pictures, and {media} came; send application/json")
    if media == "multipart/form-data":
        return _from_form(body, content_type, doc, limits)
    return Given(pictures=[body])


def _from_json(body: bytes, doc: Doc, limits: Limits) -> Given:
    if doc.pictures == NONE:
        _check_text(len(body), limits.json_text)
    given = Given(values=_object(body, limits))
    if doc.pictures == NONE:
        return given
    listed: list[Any] = []
    for name in PICTURES[: 2 if doc.pictures == MANY else 1]:
        if name in given.values:
            value = given.values.pop(name)
            listed += value if isinstance(value, list) and name == "pictures" else [value]
    if len(listed) > limits.pictures:
        raise Refused(413, f"more than {limits.pictures} pictures came in a request; send fewer at a time")
    given.pictures = [_picture(place, one) for place, one in enumerate(listed)]
    encoded = sum(len(one) for one in given.pictures if isinstance(one, bytes)) * 4 // 3
    _check_text(len(body) - encoded, limits.json_text + 16 * len(listed))
    return given


def _check_text(num_bytes: int, most: int) -> None:
    if num_bytes > most:
        raise Refused(413, f"the JSON has {num_bytes:,} bytes beside its pictures; send {most:,} at most")


def _object(body: bytes, limits: Limits) -> dict[str, Any]:
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > limits.json_values:
        raise Refused(413, f"the JSON has more than {limits.json_values:,} values; send less")
    _check_depth(body)
    try:
        values = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # ValueError: what is no JSON, no UTF-8, or a number of 5,000 digits
        raise Refused(400, f"the body is no JSON ({_short(error)}); send a JSON object") from error
    if not isinstance(values, dict):
        raise Refused(400, f'the JSON is a {type(values).__name__}; send an object like {{"pictures": […]}}')
    return values


def _check_depth(body: bytes) -> None:
    """Counted without recursion, strings left out."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return
    depth = 0
    for mark in NESTED.finditer(body):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(mark[0], 0)
        if depth > DEEPEST:
            raise Refused(400, f"the JSON is nested more than {DEEPEST} deep; send it flat")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _picture(place: int, value: Any) -> bytes | str:
    """{"base64": …} -> its bytes, {"id": …} -> the id."""
    keys = set(value) if isinstance(value, dict) else set()
    if keys == {"id"} and isinstance(value["id"], str):
        return str(value["id"])
    if keys == {"base64"} and isinstance(value["base64"], str):
        text = value["base64"]
        if text.startswith("data:"):
            text = text.partition(",")[2]
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refused(400, f"picture {place} is no base64 ({_short(error)}); encode its bytes") from error
    shown = " ".join(repr(value)[:200].split())[:60]
    raise Refused(400, f'picture {place} is {shown}; give {{"base64": "…"}} or {{"id": "…"}}')


def _from_form(body: bytes, content_type: str, doc: Doc, limits: Limits) -> Given:
    given = Given()
    for name, is_file, data in _parts(body, content_type, limits):
        if is_file or name in PICTURES:
            if name not in PICTURES:
                raise Refused(400, f"a file came as the field {name!r:.60}; call it 'picture'")
            given.pictures.append(data)
            continue
        if len(data) > limits.json_text:
            raise Refused(413, f"the field {name!r:.60} has {len(data):,} bytes; {limits.json_text:,} are taken")
        try:
            given.values[name] = from_text(data.decode(), doc.takes.get(name, {}))
        except UnicodeDecodeError as error:
            raise Refused(400, f"the field {name!r:.60} is no UTF-8; send text") from error
    if doc.pictures != MANY and len(given.pictures) > 1:
        raise Refused(400, "several pictures came; this call takes one")
    return given


def _parts(body: bytes, content_type: str, limits: Limits) -> list[tuple[str, bool, bytes]]:
    """(name, whether it is a file, its bytes) of each part."""
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary or len(boundary) > 200:
        raise Refused(400, "the form names no boundary of its parts; let your HTTP library set the Content-Type")
    form = _Form(parse_options_header, limits.pictures)
    parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
    try:
        parser.write(body)
        parser.finalize()
    except (FormParserError, UnicodeDecodeError) as error:
        raise Refused(400, f"the form cannot be read ({_short(error)}); send multipart/form-data") from error
    if not form.ended:
        raise Refused(400, "the form ends before its last boundary; send all of it")
    return form.parts


class _Form:
    """Gathers the parts as the parser meets them."""

    MOST_FIELDS = 100

    def __init__(self, parse_options: Callable[[bytes], tuple[bytes, dict[bytes, bytes]]], pictures: int) -> None:
        self._parse_options, self._most_files = parse_options, pictures
        self.parts: list[tuple[str, bool, bytes]] = []
        self.ended = False
        self._header = self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._data: list[bytes] = []

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._data.append(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._close,
        }

    def _begin(self) -> None:
        self._header, self._value, self._headers, self._data = bytearray(), bytearray(), {}, []
        if len(self.parts) >= self._most_files + self.MOST_FIELDS:
            raise Refused(413, f"more than {len(self.parts)} parts came in a form; send fewer")

    def _end_header(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        _, options = self._parse_options(self._headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise Refused(400, "a part of the form has no name; call it 'picture'")
        is_file = b"filename" in options
        if sum(file for _, file, _ in self.parts) + is_file > self._most_files:
            raise Refused(413, f"more than {self._most_files} pictures came in a request; send fewer at a time")
        self.parts.append((options[b"name"].decode("utf-8", "replace"), is_file, b"".join(self._data)))

    def _close(self) -> None:
        self.ended = True


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:100]
