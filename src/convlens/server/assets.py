"""The page: a table of its files, read once; nothing else is served from the disk."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

MEDIA = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
INDEX = "index.html"


@cache
def page_files() -> dict[str, tuple[bytes, str]]:
    """Name -> its bytes and its media type, of all that stands in `page/`."""
    found = {}
    for file in (files("convlens.server") / "page").iterdir():
        suffix = f".{file.name.rpartition('.')[2]}"
        if file.is_file() and suffix in MEDIA:
            found[file.name] = (file.read_bytes(), f"{MEDIA[suffix]}; charset=utf-8")
    return found
