"""Thousands of requests that make no sense, and not one answer that says the server failed."""

from __future__ import annotations

import json
import re
import socket
from urllib.parse import quote

import httpx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import answer_on, connect

QUICK, SLOW = 200, 5000
PATHS = ("/", "/v1/predict", "/v1/run", "/v1/health", "/v1/pictures/", "/v1/thumbnails/", "/metrics", "/page/", "/v2/")
METHODS = ("GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE", "PATCH", "TRACE")
MEDIA = ("application/json", "image/png", "multipart/form-data; boundary=x", "text/plain", "", "image/*", "multipart/é")
NAMES = ("picture", "pictures", "run", "top", "all", "as", "id", "base64")


@pytest.fixture(autouse=True)
def _all_numbers() -> None:
    """A training in this process has the processor take the smallest numbers for 0, which hypothesis refuses."""
    torch.set_flush_denormal(False)


texts = st.text(max_size=30)
names = st.one_of(st.sampled_from(NAMES), texts)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=10,
)
part = st.tuples(names, st.binary(max_size=40), st.booleans())


def form_of(parts: list[tuple[str, bytes, bool]]) -> bytes:
    rows = [
        b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
        % (name.encode("utf-8", "replace"), b'; filename="a"' * is_file, data)
        for name, data, is_file in parts
    ]
    return b"".join(rows) + b"--x--\r\n"


bodies = st.one_of(
    st.binary(max_size=300),
    values.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(names, values, max_size=4).map(lambda value: json.dumps(value).encode()),
    st.lists(part, max_size=4).map(form_of),
)
requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(METHODS),
        "path": st.tuples(st.sampled_from(PATHS), texts).map(lambda pair: pair[0] + quote(pair[1], safe="/")),
        "query": st.dictionaries(names, texts, max_size=3),
        "media": st.sampled_from(MEDIA),
        "body": bodies,
        "predict": st.booleans(),  # half of them go where most can go wrong
    }
)


def ask(client: httpx.Client, asked: dict) -> httpx.Response:
    method, path = ("POST", "/v1/predict") if asked["predict"] else (asked["method"], asked["path"])
    query = {quote(name, errors="replace"): quote(value, errors="replace") for name, value in asked["query"].items()}
    url = httpx.URL(str(client.base_url)).copy_with(raw_path=path.encode() + b"?" + _joined(query))
    headers = {"Content-Type": asked["media"].encode("latin-1")}
    return client.request(method, url, content=asked["body"], headers=headers)


def _joined(query: dict[str, str]) -> bytes:
    return "&".join(f"{name}={value}" for name, value in query.items()).encode()


def check_requests(client: httpx.Client, number: int) -> None:
    """Each is answered, below 500, and refusals say what is wrong and what to do."""
    statuses = []

    @settings(
        max_examples=number, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(requests)
    def each(asked):
        answer = ask(client, asked)
        statuses.append(answer.status_code)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400 and answer.request.method != "HEAD":
            error = answer.json()["error"]
            assert error["status"] == answer.status_code and error["what"] and error["remedy"]

    each()
    assert len(statuses) >= number and {200, 400, 404, 405, 415} <= set(statuses)


def test_two_hundred_requests_find_no_failure(client):
    check_requests(client, QUICK)
    assert client.get("/v1/health").status_code == 200


@pytest.mark.slow
def test_five_thousand_requests_find_no_failure(client):
    check_requests(client, SLOW)
    assert 'status="5' not in client.get("/metrics").text


@pytest.mark.slow
def test_two_thousand_mangled_requests_leave_the_server_well(served, client, digits):
    """Real requests with bytes cut out, doubled or changed, on connections of their own."""
    head = b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
    good = head % len(digits[0]) + digits[0]
    places = st.integers(0, len(good))

    @settings(max_examples=2000, deadline=None, database=None, derandomize=True)
    @given(places, places, st.binary(max_size=20))
    def each(start, end, put):
        with connect(served.url) as connection:
            connection.sendall(good[: min(start, end)] + put + good[max(start, end) :])
            connection.shutdown(socket.SHUT_WR)
            found = answer_on(connection)
        assert not re.match(rb"HTTP/1.1 5", found), found[:200]

    each()
    assert client.get("/v1/health").status_code == 200
