"""The application: each endpoint behind the same reading, limits and errors, and the page's files."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from convlens.engines import PLAIN
from convlens.errors import ConvlensError
from convlens.runs import Run
from convlens.server.asking import asked_of, needs_body, receive
from convlens.server.assets import INDEX, page_files
from convlens.server.endpoint import Endpoint, Later
from convlens.server.guard import Guard
from convlens.server.limits import Limits
from convlens.server.openapi import OPENAPI_DOC, document
from convlens.server.refused import Refused, as_json, status_of
from convlens.server.routes import ROUTES
from convlens.server.shelf import Shelf, open_shelf
from convlens.workbench.results import Tell, plain, silent

log = logging.getLogger("convlens.server")
Handler = Callable[[Request], Awaitable[Response]]


def create_app(
    runs: Sequence[Run],
    limits: Limits | None = None,
    token: str | None = None,
    *,
    engine: str = PLAIN,
    hosts: Iterable[str] = (),
    tell: Tell = silent,
) -> ASGIApp:
    """The whole server as an ASGI application, which frees what it holds at the end of its lifespan.

    `hosts` are names beside loopback's under which it may be called. Raises RunError for a run that cannot be opened.
    """
    return app_of(open_shelf(runs, limits or Limits(), engine=engine, tell=tell), token, hosts)


def app_of(shelf: Shelf, token: str | None = None, hosts: Iterable[str] = ()) -> ASGIApp:
    """The same on a shelf that is open."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        shelf.close()

    made = document(ROUTES, token=token is not None)
    calls = (*ROUTES, Endpoint("GET", "/openapi.json", lambda _: made, OPENAPI_DOC))
    routes = [Route(one.path, handler(one, shelf), methods=[one.method]) for one in calls]
    routes += [Route("/", page_file), Route("/page/{name}", page_file)]
    inner = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: no_such_call})  # type: ignore[dict-item]
    inner.router.redirect_slashes = False  # to another address is no answer
    return Guard(inner, hosts, token)


def handler(endpoint: Endpoint, shelf: Shelf) -> Handler:
    """Reads, asks the endpoint in a thread, and turns whatever comes of it into a response."""

    async def handle(request: Request) -> Response:
        began = time.perf_counter()
        response = await answer_or_refuse(endpoint, shelf, request)
        shelf.metrics.count(endpoint.path, response.status_code, time.perf_counter() - began)
        return response

    return handle


async def answer_or_refuse(endpoint: Endpoint, shelf: Shelf, request: Request) -> Response:
    try:
        return await answer(endpoint, shelf, request)
    except ConvlensError as error:
        return refusal(error)
    except ClientDisconnect:
        return Response(status_code=400)
    except asyncio.CancelledError:
        return refusal(Refused(503, "the server is closing; start it again"))
    except Exception:
        log.exception("%s %s failed", endpoint.method, endpoint.path)
        return json_response(as_json(500, "the server failed; its log says more"), 500)


async def answer(endpoint: Endpoint, shelf: Shelf, request: Request) -> Response:
    workers, heavy = shelf.workers, endpoint.heavy
    seconds = shelf.limits.long_seconds if endpoint.long else shelf.limits.seconds
    with workers.room(heavy=heavy, always=endpoint.always) as room:
        most, body = needs_body(endpoint, request, shelf), b""
        if most:
            body = await receive(request, most, shelf.limits.body_seconds, room.count)
        deadline = time.monotonic() + seconds

        def work() -> Any:
            found = endpoint.function(asked_of(endpoint, shelf, request, body, deadline))
            return found if endpoint.raw or isinstance(found, Later) else json_response(found)

        if endpoint.always:  # where all threads are busy too
            return await asyncio.to_thread(work)
        async with leaving(request) as gone:
            found = await workers.run(work, seconds, heavy=heavy, gone=gone)
            if isinstance(found, Later):
                finish, value = found.finish, await workers.wait(found.future, seconds, heavy=heavy, gone=gone)
                found = await workers.run(lambda: json_response(finish(value)), seconds, heavy=heavy)
        assert isinstance(found, Response)
        return found


@asynccontextmanager
async def leaving(request: Request) -> AsyncIterator[asyncio.Future[None]]:
    """A future that is done when the client has gone; its body was read before."""

    async def leave() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            continue

    gone = asyncio.ensure_future(leave())
    try:
        yield gone
    finally:
        gone.cancel()


def json_response(value: Any, status: int = 200) -> Response:
    """In ASCII, so that no text can fail to be encoded."""
    return Response(json.dumps(plain(value), allow_nan=False), status, media_type="application/json")


def refusal(error: ConvlensError) -> Response:
    status = status_of(error)
    response = json_response(as_json(status, str(error)), status)
    if isinstance(error, Refused) and error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


async def page_file(request: Request) -> Response:
    name = request.path_params.get("name", INDEX)
    if name not in page_files():
        raise HTTPException(404)
    data, media = page_files()[name]
    return Response(data, media_type=media, headers={"Cache-Control": "no-cache"})


async def no_such_call(request: Request, error: HTTPException) -> Response:
    words = {
        404: f"there is no {request.url.path[:80]!r}; /openapi.json lists what there is",
        405: f"{request.method} is not taken here; /openapi.json says what is",
    }
    response = json_response(as_json(error.status_code, words.get(error.status_code, error.detail)), error.status_code)
    response.headers.update(error.headers or {})
    return response
