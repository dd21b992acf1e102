"""Clients that send slowly, or never read: their connections end, and nobody else notices."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from convlens.server import Limits, ServeResult, running_server

from .conftest import answer_on, connect

HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def hasty(trained_run) -> Iterator[ServeResult]:
    """A server that waits for little."""
    limits = Limits(header_seconds=0.3, body_seconds=0.3, body=100_000)
    with running_server(trained_run, limits=limits) as served:
        yield served


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ", b"G"])
def test_headers_that_do_not_come_end_the_connection(hasty, sent):
    began = time.monotonic()
    with connect(hasty.url) as connection:
        connection.sendall(sent)
        assert answer_on(connection) == b""
    assert 0.2 < time.monotonic() - began < 5


def test_headers_that_drip_end_the_connection(hasty):
    with connect(hasty.url) as connection, pytest.raises(OSError):
        for _ in range(100):
            connection.sendall(b"G")
            time.sleep(0.05)


def test_a_body_that_does_not_come_is_told_so(hasty):
    with connect(hasty.url) as connection:
        connection.sendall(HEAD % 1000 + b"abc")
        answer = b""
        while b"}}" not in answer:
            answer += connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not come within 0.3 seconds" in answer


def test_who_sends_too_much_gets_to_read_why(hasty):
    with connect(hasty.url) as connection:
        connection.sendall(HEAD % 3_000_000 + b"x" * 3_000_000)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_headers_that_are_too_long_are_refused(hasty):
    with connect(hasty.url) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + b"a" * 100_000)
        assert answer_on(connection).split(b" ")[1] in (b"400", b"431")


def test_more_connections_than_there_may_be_are_told_to_come_back(trained_run):
    with running_server(trained_run, limits=Limits(connections=4)) as served:
        with ExitStack() as held:
            for _ in range(4):
                connection = held.enter_context(connect(served.url))
                connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert connection.recv(100).startswith(b"HTTP/1.1 200")
            answer = answer_on(held.enter_context(connect(served.url)))
        assert answer.startswith(b"HTTP/1.1 503") and b"Retry-After: 1" in answer
        while httpx.get(f"{served.url}v1/health").status_code == 503:  # until the server has seen them go
            time.sleep(0.01)


def test_what_is_no_http_is_refused(hasty):
    for sent in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"\0" * 100 + b"\r\n\r\n"):
        with connect(hasty.url) as connection:
            connection.sendall(sent)
            assert answer_on(connection)[:12] in (b"HTTP/1.1 400", b"")
    assert httpx.get(f"{hasty.url}v1/health").status_code == 200


def test_an_answer_that_nobody_reads_does_not_stay(trained_run, monkeypatch):
    from starlette.responses import Response

    from convlens.server.endpoint import Doc, Endpoint
    from convlens.server.routes import ROUTES

    large = Endpoint("GET", "/v1/large", lambda _: Response(bytes(50 << 20)), Doc("Large."), raw=True)
    monkeypatch.setattr("convlens.server.app.ROUTES", (*ROUTES, large))
    with running_server(trained_run, limits=Limits(body_seconds=0.3)) as served, connect(served.url) as connection:
        connection.sendall(b"GET /v1/large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(0.8)
        assert len(answer_on(connection)) < 50 << 20
