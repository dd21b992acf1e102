"""Runs behind an HTTP API, and one page that shows what is inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convlens.server.extra import need_extra
from convlens.server.limits import Limits
from convlens.server.serve import ServeResult, running_server, serve
from convlens.server.workers import still_computing

if TYPE_CHECKING:
    from convlens.server.app import create_app

__all__ = ["Limits", "ServeResult", "create_app", "running_server", "serve", "still_computing"]


def __getattr__(name: str) -> Any:
    """The app needs what the extra `serve` installs, so it is imported when it is first asked for."""
    if name == "create_app":
        need_extra()
        from convlens.server.app import create_app

        return create_app
    raise AttributeError(f"convlens.server has no {name!r}; it has {', '.join(__all__)}")
