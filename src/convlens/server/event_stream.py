"""Server-sent events: what is new, as it becomes new, to few listeners that keep up.

Nothing is queued for anybody: a listener is told of the newest state when it is ready for it. One that takes nothing
for ten seconds is dropped, one that has gone is noticed, and where nothing is new a comment keeps the line open.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

LOOK_S = 0.25  # between two looks for something new
HEARTBEAT_S = 15.0
PATIENCE_S = 10.0  # with a listener that takes nothing

Event = tuple[str, Any]  # its name, and plain data


def encoded(event: Event) -> bytes:
    name, data = event
    return f"event: {name}\ndata: {json.dumps(data, allow_nan=False)}\n\n".encode()


class EventStream(Response):
    """Sends what `news()` gives, looked for four times a second, until `over()`."""

    media_type = "text/event-stream"

    def __init__(self, news: Callable[[], Iterable[Event]], over: Callable[[], bool]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._news, self._over = news, over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            with suppress(TimeoutError, OSError):
                async for data in self._parts(gone):
                    async with asyncio.timeout(PATIENCE_S):
                        await send({"type": "http.response.body", "body": data, "more_body": True})
                async with asyncio.timeout(PATIENCE_S):
                    await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()

    async def _parts(self, gone: asyncio.Task[None]) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        told = clock()
        while not gone.done():
            over = self._over()  # before the last look
            events = b"".join(encoded(event) for event in self._news())
            if events or clock() - told > HEARTBEAT_S:
                told = clock()
                yield events or b": still here\n\n"
            if over:
                return
            await asyncio.wait([gone], timeout=LOOK_S)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
