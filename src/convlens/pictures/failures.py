"""Why a picture cannot be read, in one short line that begins with one of four kinds.

Pillow raises all sorts on damaged files: OSError, ValueError, TypeError, SyntaxError, struct.error, IndexError, …
"""

from __future__ import annotations

from PIL import Image, UnidentifiedImageError

UNREADABLE = "unreadable"
FAILURE_KINDS = {  # how a reason begins -> the kind of finding
    "zero bytes": "zero_byte",
    "truncated": "truncated",
    "decompression bomb": "bomb",
    UNREADABLE: "unreadable",
}
# What Pillow says when the data ends too early, in lower case.
_CUT_SHORT = ("truncated", "unexpected end", "not enough", "eof", "reading past", "too short", "no more data")
_LONGEST_DETAIL = 120


def failure_kind(reason: str) -> str:
    """ "truncated: the data ends early" -> "truncated"; a reason of anybody else's making is "unreadable"."""
    return next((kind for start, kind in FAILURE_KINDS.items() if reason.startswith(start)), "unreadable")


def bomb_reason(width: int, height: int, max_pixels: int) -> str:
    return f"decompression bomb: claims {width:,} x {height:,} pixels, more than the {max_pixels:,} allowed"


def reason_of(error: Exception, head: bytes, tail: bytes) -> str:
    """The reason for what Pillow raised; `head` and `tail` are the first and last bytes of the file."""
    detail = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"decompression bomb: {_short(detail)}"
    if isinstance(error, UnidentifiedImageError):
        return "truncated: the file ends inside its header" if _ends_early(head, tail) else _not_a_picture(head)
    if isinstance(error, EOFError) or any(words in detail.lower() for words in _CUT_SHORT):
        return f"truncated: {_short(detail)}"
    return f"{UNREADABLE}: {_short(detail)}"


def _short(detail: str) -> str:
    return detail if len(detail) <= _LONGEST_DETAIL else detail[: _LONGEST_DETAIL - 1] + "…"


def _not_a_picture(head: bytes) -> str:
    printable = head[:64].isascii() and all(byte >= 32 or byte in b"\t\r\n" for byte in head[:64])
    return f"{UNREADABLE}: {'this is text, not a picture' if printable else 'not a picture that Pillow knows'}"


def _ends_early(head: bytes, tail: bytes) -> bool:
    """True where the first bytes are those of a picture and the last are not."""
    if head.startswith(b"\xff\xd8\xff"):
        return b"\xff\xd9" not in tail
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in tail
    return head.startswith((b"GIF87a", b"GIF89a")) and not tail.rstrip(b"\0").endswith(b";")
