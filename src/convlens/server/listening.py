"""uvicorn as this server needs it: quiet, with a limit for slow headers, and at an end at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from convlens.server.limits import Limits

END_SECONDS = 1  # for the requests at hand when it is told to stop


class Server(uvicorn.Server):
    """`on_started` is called once it listens."""

    on_started: Callable[[], None] | None = None

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started and self.on_started is not None:
            self.on_started()

    async def shutdown(self, sockets: Any = None) -> None:
        self.config.app.shelf.closing = True  # type: ignore[union-attr]
        await super().shutdown(sockets)


def make_server(app: ASGIApp, limits: Limits) -> Server:
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=END_SECONDS,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    return Server(config)
