"""A page in a real browser, listened to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def opened(
    chromium: Any, address: str, *, forgiven: str | None = None, first: str = "", **context: Any
) -> Iterator[Any]:
    """The page at this address; at the end nothing was asked of another one and no error was said.

    `forgiven` is part of what may be said: a browser says of every answer of 400 and more that it failed. `first` is
    JavaScript that runs before the page's own.
    """
    own = chromium.new_context(**context)
    own.add_init_script(first)
    page = own.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(_words(message)) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    yield page
    unforgiven = [words for words in said if forgiven is None or forgiven not in words]
    assert not unforgiven, unforgiven
    home = address.partition("#")[0]
    elsewhere = [url for url in asked if not url.startswith(("data:", f"blob:{home}", home))]
    assert not elsewhere, elsewhere
    own.close()


def _words(message: Any) -> str:
    return f"{message.text} ({message.location['url']})"
