"""A page in a real browser, listened to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def opened(chromium: Any, address: str, **context: Any) -> Iterator[Any]:
    """The page at a file's address; at the end nothing was asked of any network and no error was said."""
    own = chromium.new_context(**context)
    page = own.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    yield page
    assert said == []
    assert [url for url in asked if not url.startswith(("data:", address))] == []
    own.close()
