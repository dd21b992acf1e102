"""uvicorn as this server needs it: quiet, with an end to slow connections, and at an end at once."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from convlens.server.guard import MOST_HEADERS
from convlens.server.limits import Limits

END_SECONDS = 1  # for the requests at hand when it is told to stop
DRAIN_SECONDS = 5.0  # for the rest of a body that was refused, so that its sender gets to read why
ENDING = ("graceful shutdown", "asyncio.exceptions.CancelledError")
BUSY = b'{"error": {"status": 503, "what": "too many connections are open", "remedy": "try again in a second"}}'


class Server(uvicorn.Server):
    """`on_started` is called once it listens, `on_ending` before it waits for answers under way to end.

    `stopped_by` is the signal that ended it.
    """

    on_started: Callable[[], None] | None = None
    on_ending: Callable[[], None] | None = None
    stopped_by: int | None = None

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started and self.on_started is not None:
            self.on_started()

    async def shutdown(self, sockets: Any = None) -> None:
        if self.on_ending is not None:
            self.on_ending()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does it, but a signal is told, and not raised again at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        known = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in known}
        try:
            yield
        finally:
            for number, handle in before.items():
                signal.signal(number, handle)
            self.stopped_by = self._captured_signals[0] if self._captured_signals else None


class Connection(H11Protocol):
    """One that is closed where headers do not come in time, nor the rest of a refused body, nor is an answer read."""

    limits: Limits
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            head = f"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: {len(BUSY)}\r\n"
            transport.write(f"{head}Content-Type: application/json\r\nConnection: close\r\n\r\n".encode() + BUSY)
            transport.close()
            return
        self._deadline = self.loop.call_later(self.limits.header_seconds, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self._unread or self.loop.call_later(self.limits.body_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def _watch(self) -> None:
        """What is waited for, and how long: nothing, where a request is being read or answered."""
        if self.transport.is_closing():
            return self._forget()
        theirs, ours = self.conn.their_state, self.conn.our_state
        if theirs is h11.IDLE and self.timeout_keep_alive_task is None:
            self._deadline = self._deadline or self.loop.call_later(self.limits.header_seconds, self.transport.abort)
        elif theirs is h11.SEND_BODY and ours in (h11.DONE, h11.MUST_CLOSE):
            self._deadline = self._deadline or self.loop.call_later(DRAIN_SECONDS, self.transport.abort)
        else:
            self._forget()

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Quiet(logging.Filter):
    """Requests that are cut off at the end are no error."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        told = str(record.msg)  # of a lifespan that a second Ctrl-C cut off, the traceback as text
        return not isinstance(error, asyncio.CancelledError) and not any(word in told for word in ENDING)


def make_server(app: ASGIApp, given: Limits) -> Server:
    class Limited(Connection):
        limits = given

    config = uvicorn.Config(
        app,
        http=Limited,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=MOST_HEADERS,
        timeout_graceful_shutdown=END_SECONDS,
    )
    log = logging.getLogger("uvicorn.error")
    log.setLevel(logging.ERROR)
    if not any(isinstance(one, Quiet) for one in log.filters):
        log.addFilter(Quiet())
    return Server(config)
