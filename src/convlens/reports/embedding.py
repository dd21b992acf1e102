"""Picture files as data inside the page, so that it is one file; only files of the run are taken."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF89a": "image/gif"}


def data_address(path: Path, run: Path) -> str | None:
    """A `data:` address; None for a file that is missing, no PNG, JPEG or GIF, or outside the run folder.

    A run may come from someone else: a name such as ../../secret in it must not be published by the report.
    """
    try:
        real = path.resolve()
        if not real.is_relative_to(run.resolve()):
            return None
        content = real.read_bytes()
    except (OSError, ValueError):
        return None
    return embedded(content)


def embedded(content: bytes) -> str | None:
    """The same of a picture's bytes."""
    kind = next((kind for start, kind in SIGNATURES.items() if content.startswith(start)), None)
    return f"data:{kind};base64,{b64encode(content).decode()}" if kind else None
